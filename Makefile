# Needs Go alone, but for `real`.
FUZZTIME ?= 20s
BENCHTIME ?= 1s
DURATION ?= 5m
INTERVAL ?= 5s

.PHONY: build test lint soak bench microbench fuzz real chart image fips vuln reproducible sbom release-notes

build: ## the binary, static
	CGO_ENABLED=0 go build -trimpath -o gatehouse .

test: ## everything that needs Go alone
	go test ./...

lint: ## format, vet, staticcheck where it is installed
	test -z "$$(gofmt -l . | tee /dev/stderr)"
	go vet ./...
	if command -v staticcheck >/dev/null; then staticcheck ./...; fi

bench: ## beside a bare ReverseProxy, in one run: see docs/benchmarks.md
	go run ./test/bench

soak: ## mixed traffic for DURATION; fails where memory, goroutines or files grow
	go run ./test/soak -duration $(DURATION) -interval $(INTERVAL)

microbench: ## every benchmark of every package, with allocations
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

fuzz: ## each fuzz target for FUZZTIME
	grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read dir; do \
		grep -h --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -d' ' -f2 | while read target; do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$dir || exit 1; \
		done || exit 1; \
	done

real: ## scenarios against real servers, fetched by package name
	bash test/real/run

chart: ## the Helm chart: rendered, held against Kubernetes' types, started
	cd charts/test && go vet . && go test -count=1 . # its cache does not see the chart

image: build ## gatehouse-image.tar, an OCI archive, by buildah alone
	bash .ci/image gatehouse gatehouse-image.tar

fips: ## the parts that hold keys and tokens, with Go's FIPS 140-3 module
	GODEBUG=fips140=on go test -short ./config ./gateway/audit ./gateway/auth ./gateway/limit ./gateway/seal ./gateway/state ./gateway/view

vuln: ## known vulnerabilities, where the database of govulncheck is reachable
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

reproducible: ## the binary built in two directories is the same to the byte
	bash .ci/reproducible

sbom: build ## the bill of materials, held against CycloneDX's schema by its own library (npm)
	bash .ci/sbom ./gatehouse

release-notes: ## what to publish with VERSION: its section of the changelog, with digests
	@$(MAKE) -s build >&2
	@bash .ci/release-notes $(VERSION) ./gatehouse
