# Everything there is to do with Gaia. `make` alone lists it.
# Recipes are one line; what needs more lives in scripts/.

SHELL    := /bin/sh
GO       ?= go
BUILD    := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 1m

.DEFAULT_GOAL := help
.PHONY: help run build generate verify test test-split test-unit test-integration test-compatibility test-performance \
	test-deploy test-deps setup split infra bench fuzz vet fmt fmt-check arch lint security gosec secrets vulncheck ci clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, and serve on 127.0.0.1:8666 with nothing else installed
	@bin/gaia serve

setup: ## make .env with fresh secrets, once
	@sh scripts/setup.sh

split: build ## run gateway, auth, asset and chat as processes; only some: SERVICES="gateway chat"
	@sh scripts/split.sh $(SERVICES)

infra: ## run PostgreSQL, Redis and NATS alone, as programs of this machine
	@sh scripts/split.sh infra

build: ## build bin/gaia
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.build=$(BUILD)" -o bin/gaia ./cmd/gaia

generate: bin/sqlc ## regenerate the API, the client and the queries
	@$(GO) generate ./api
	@bin/sqlc generate

verify: bin/sqlc ## fail when generating again would change a byte
	@sh scripts/verify.sh

# SQLite is C that was translated to Go. Watching its memory for races takes most of the time of the tests and finds nothing of ours: its
# locks, and everything around it, are watched all the same.
test test-split test-integration test-compatibility: export GOFLAGS := $(strip $(GOFLAGS) '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0')

test: test-deps ## run everything with the race detector, on real servers
	@sh scripts/test.sh

test-split: test-deps ## run the tests of the contract on four processes
	@sh scripts/test-split.sh

test-unit: ## run what needs no server
	@$(GO) test -short ./...

test-integration: test-deps ## run the adapters and commands on real servers
	@GAIA_TEST_REQUIRE=1 $(GO) test -race ./adapters/... ./internal/... ./cmd/...

test-compatibility: test-deps ## replay what the LLM Platform answered
	@GAIA_TEST_REQUIRE=1 $(GO) test -race -count=1 ./tests/compat
	@GAIA_TEST_REQUIRE=1 $(GO) test -race -count=1 -v -run TestRecordedExchanges ./tests/e2e

test-performance: build ## run every Go benchmark
	@$(GO) test -short -run '^$$' -bench . -benchmem ./...

test-deploy: ## check compose.yaml, Dockerfile, chart, set-up and the size of the program
	@cd deploy/check && $(GO) vet . && $(GO) test -count=1 .

test-deps: bin/versitygw ## install the servers and Node that the tests need (Debian, as root)
	@sh scripts/test-deps.sh

bench: build ## measure the built program and print a table
	@sh scripts/bench.sh

fuzz: ## run every fuzz target for FUZZTIME (1m)
	@FUZZTIME=$(FUZZTIME) sh scripts/fuzz.sh

vet: ## run go vet
	@$(GO) vet ./...

fmt: ## format the code
	@gofmt -w $$(sh scripts/gofiles.sh)

fmt-check: ## fail when a file is not formatted
	@out=$$(gofmt -l $$(sh scripts/gofiles.sh)); [ -z "$$out" ] || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }

arch: ## check who imports what
	@$(GO) test ./internal/arch

lint: bin/golangci-lint ## run golangci-lint (its first build takes minutes)
	@bin/golangci-lint run ./...

security: gosec secrets vulncheck ## look for insecure code, secrets and known vulnerabilities

# G101 takes words like "bad_password" for credentials; secrets looks for those.
gosec: bin/gosec ## look for insecure code
	@bin/gosec G101

secrets: bin/gitleaks ## look for secrets in every commit
	@bin/gitleaks git --no-banner --redact --verbose .

vulncheck: bin/govulncheck ## look for known vulnerabilities in what the program calls
	@sh scripts/vulncheck.sh

ci: ## run what the build server runs
	@bash .ci/run

clean: ## remove what was built
	@rm -rf bin coverage.out

# Tools are built from the versions that tools/go.mod pins. Without cgo, sqlc
# builds in a third of the time and generates the same bytes.
bin/sqlc: tools/go.mod tools/go.sum
	@echo "building sqlc, about a minute"
	@cd tools && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../$@ github.com/sqlc-dev/sqlc/cmd/sqlc

bin/versitygw: tools/s3/go.mod tools/s3/go.sum
	@echo "building the S3 server that the tests start, about two minutes"
	@cd tools/s3 && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../../$@ github.com/versity/versitygw/cmd/versitygw

bin/golangci-lint: tools/go.mod tools/go.sum
	@echo "building golangci-lint, a few minutes"
	@cd tools && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/gosec: tools/scan/go.mod tools/scan/go.sum tools/scan/gosec/main.go
	@cd tools/scan && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../../$@ ./gosec

bin/gitleaks: tools/scan/go.mod tools/scan/go.sum
	@cd tools/scan && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../../$@ github.com/zricethezav/gitleaks/v8

bin/govulncheck: tools/scan/go.mod tools/scan/go.sum
	@cd tools/scan && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o ../../$@ golang.org/x/vuln/cmd/govulncheck
