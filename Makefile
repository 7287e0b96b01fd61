# Two commands matter: make demo runs the main job, make test checks everything that this machine can check.

GO ?= go
export CGO_ENABLED ?= 0

.PHONY: build demo test test-bare test-long bench tools generate check cross package image

build:
	$(GO) build -trimpath -o bin/dalamb ./cmd/dalamb

# The shop on a node of its own: make demo, or make demo ARGS=--once
demo: build
	$(GO) build -o bin/demo ./hack/demo
	exec bin/demo $(ARGS) # go run would not pass SIGTERM on

# Static checks, then all tests with the race detector where the machine has a C compiler. Ends with what was skipped, and why.
test: check
	$(GO) run ./hack/test $(ARGS)

# The tests as a machine with Go alone has them: no C compiler, so no race detector, and another runtime below net and os/user. Those
# that need Kafka are left out whatever this machine has: a bare one has no Java, and make test runs them.
test-bare:
	@echo "without Kafka: make test runs those tests"
	DALAMB_WITHOUT=kafka CGO_ENABLED=0 $(GO) test ./...

# What takes minutes: longer crash runs, longer properties, fuzzing.
test-long: build
	$(GO) run ./hack/test -long $(ARGS)

# All rows, or some: make bench ARGS='coldstart append'. BENCH_OUT=file.json writes them as JSON too, BENCH_PAGE=docs/performance.md into
# the page. BENCH_PROFILE=file.pprof profiles
# the node in the batch row.
bench: build
	$(GO) run ./hack/bench $(ARGS)

# Installs what the tests can use beside Go. Needs root and a Debian-like system; make test works without.
tools:
	./hack/tools

# The reference pages and the schema are made from the code; CI fails when they differ.
generate: build
	$(GO) run ./hack/generate

check:
	./hack/check

# dist/dalamb_VERSION_ARCH.deb, and dist/dalamb.oci, an OCI image layout. ARCH=arm64 makes them for other machines.
package image: export GOOS = linux
package image: export GOARCH = $(or $(ARCH),$(shell $(GO) env GOARCH))
package image:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags=-s -o dist/$(GOARCH)/dalamb ./cmd/dalamb
	GOOS= GOARCH= $(GO) run ./hack/package -binary dist/$(GOARCH)/dalamb $(if $(filter package,$@),deb,image)

# Every platform that is promised compiles.
cross:
	GOOS=linux GOARCH=amd64 $(GO) build -o /dev/null ./cmd/dalamb
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/dalamb
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/dalamb
	GOOS=darwin GOARCH=amd64 $(GO) build -o /dev/null ./cmd/dalamb
