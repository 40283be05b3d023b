# Gaia is one static program, alone in its image: no libc, no shell, no package manager.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG BUILD=docker
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags "-s -w -X main.build=${BUILD}" -o /out/usr/local/bin/gaia ./cmd/gaia
# What a program expects of a system: certificates to trust, a user, and a folder for its data that belongs to that user.
RUN mkdir -p /out/etc/ssl/certs /out/data \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && echo 'nonroot:x:65532:65532:nonroot:/data:/sbin/nologin' > /out/etc/passwd \
 && echo 'nonroot:x:65532:' > /out/etc/group

# The tests: compilers, the servers that they start, and Node for the official JavaScript clients. The sources are mounted.
FROM golang:1.26.8-bookworm AS test
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql redis-server nats-server \
 && rm -rf /var/lib/apt/lists/*
COPY --from=node:22.18.0-bookworm-slim /usr/local/bin/node /usr/local/bin/node
COPY --from=node:22.18.0-bookworm-slim /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
# The tests start servers as other users, which only root can.
# hadolint ignore=DL3002
USER root
WORKDIR /src
HEALTHCHECK NONE
CMD ["make", "test"]

FROM scratch AS gaia
ARG BUILD=docker
LABEL org.opencontainers.image.title="Gaia" \
      org.opencontainers.image.description="Chat, personas, accounts and assets behind one API: gateway, auth, asset and chat service in one program" \
      org.opencontainers.image.version="${BUILD}"
COPY --from=build /out/etc /etc
COPY --from=build /out/usr /usr
# A new volume takes its owner from the folder in the image.
COPY --from=build --chown=65532:65532 /out/data /data
ENV PATH=/usr/local/bin HOME=/data SERVICE_HOST=0.0.0.0 GAIA_DATA_DIR=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8666
# Asks /readyz at SERVICE_PORT, or at the port of the service that SERVICES names.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 CMD ["gaia", "health"]
ENTRYPOINT ["gaia"]
CMD ["serve"]
