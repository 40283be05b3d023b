# Gaia is one static program: no libc, no shell, no package manager beside it.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG BUILD=docker
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.build=${BUILD}" -o /out/gaia ./cmd/gaia \
 && mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=busybox:1.37-musl /bin/busybox /bin/busybox
COPY --from=build /out/gaia /usr/local/bin/gaia
# A new volume takes its owner from the folder in the image.
COPY --from=build --chown=nonroot:nonroot /out/data /data
ENV SERVICE_HOST=0.0.0.0 SERVICE_PORT=8666 GAIA_DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 8666
# busybox is here for this line alone.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
	CMD ["/bin/busybox", "sh", "-c", "/bin/busybox wget -q -O /dev/null http://127.0.0.1:${SERVICE_PORT}/readyz"]
ENTRYPOINT ["/usr/local/bin/gaia"]
CMD ["serve"]
