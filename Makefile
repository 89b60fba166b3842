# What a developer and CI run: both call these targets, so that they do the same. `make` alone lists them.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME ?= 30s
# Tests have small heaps, which would be collected all the time. What go itself writes, binaries above all, stays where it is.
IN_MEMORY := GOGC=300 GOTMPDIR=$${GOTMPDIR:-$${TMPDIR:-/tmp}} TMPDIR=$$(tools/scratch.sh)
HARNESS := ^Test(Harness|Client.*|Judge.*|Proxy|Linear.*|Misread|FlatJudge|Unflushed|Slope|TortureJudges|KillServer)$$
STATICCHECK := go tool -modfile=tools/go.mod staticcheck

.DEFAULT_GOAL := help
.PHONY: help run build test check check-format check-vet check-lint check-tools check-generated check-race check-fuzz \
	bench campaign rules torture conformance golden generate drill

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, then serve on SQLite with a development token; nothing else is needed
	bin/meibo serve --dev

# Static, and the same bytes from the same source: no cgo, no paths, no time stamps.
build: ## write bin/meibo
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/meibo ./cmd/meibo

test: ## all tests; needs Go alone (PostgreSQL's part is skipped where there is none)
	$(IN_MEMORY) CGO_ENABLED=0 go test -ldflags='-s -w' ./...

check: check-format check-vet check-lint check-tools check-generated check-race check-fuzz ## everything CI demands of the code; REQUIRE_POSTGRES=1 forbids skipping

check-format: ## gofmt leaves every file as it is
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt these files:"; echo "$$files"; exit 1; }

check-vet: ## go vet
	go vet ./...

check-lint: ## staticcheck
	$(STATICCHECK) ./...

check-tools: ## the same for the tools' own module
	go -C tools vet ./...
	go -C tools tool staticcheck ./...
	go -C tools test ./...

check-generated: ## generated files are what their generators write
	@go -C tools run ./notices .. | diff -u THIRD_PARTY_NOTICES.md - || { echo "run: make generate"; exit 1; }
	@go run ./cmd/meibo settings schema | diff -u docs/settings.schema.json - || { echo "run: make generate"; exit 1; }

# Each path is what the detector needs, not each value: chance makes up a quarter, and the campaigns, which break a program
# built without it, show their harness alone. `make test` plays them all. Vet and the tables of debuggers have their own time.
check-race: ## all tests under the race detector, on SQLite and PostgreSQL
	$(IN_MEMORY) RAPID_CHECKS=25 CGO_ENABLED=1 go test -race -vet=off -ldflags='-s -w' -timeout 15m $$(go list ./... | grep -v /internal/campaign$$)
	$(IN_MEMORY) CGO_ENABLED=1 go test -race -vet=off -timeout 5m -run '$(HARNESS)' ./internal/campaign

check-fuzz: ## every fuzz target for FUZZTIME
	tools/fuzz.sh $(FUZZTIME)

bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem ./...

campaign: ## break the binary and its database in full (about an hour); ONLY=regexp runs a part, SHARE=0.05 fewer times
	CGO_ENABLED=0 go test -count=1 -timeout 3h -v $(if $(ONLY),-run '$(ONLY)') ./internal/campaign -full $(if $(SHARE),-share $(SHARE))

rules: ## judge decide in every situation that there is, and play the tests of the whole server at full size, N sequences (1000) of all that may happen to the protected among them
	CGO_ENABLED=0 go test -count=1 -timeout 1h -v -run 'Situation$$|^TestUndo' ./provisioning -every -undocases 1000
	CGO_ENABLED=0 go test -count=1 -timeout 2h -v ./internal/e2e -full -sequences $(or $(N),1000)

torture: ## send N malformed requests (20000) to a server on each database and print what came back; SEED repeats a run
	CGO_ENABLED=0 go test -count=1 -timeout 6h -parallel 1 -v -run '^TestTorture$$' ./internal/campaign -torture-n $(or $(N),20000) -torture-seed $(or $(SEED),1)

conformance: build ## outside suites against this build; POSTMAN_COLLECTION names Microsoft's public collection
	conformance/run.sh

golden: ## rewrite golden files; read the difference before you commit it
	go test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n 1 dirname | sort -u) -update

generate: ## rewrite generated files
	go -C tools run ./notices .. > THIRD_PARTY_NOTICES.md.new
	mv THIRD_PARTY_NOTICES.md.new THIRD_PARTY_NOTICES.md
	go run ./cmd/meibo settings schema > docs/settings.schema.json.new
	mv docs/settings.schema.json.new docs/settings.schema.json
	go run ./cmd/meibo openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

drill: build ## a short run of the Entra drill against a server of its own
	bin/meibo drill --users 200 --groups 10 --members 1000 --dialect both --rate-limit 0
