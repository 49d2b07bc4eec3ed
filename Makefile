# Two commands matter: `make run` starts Sentinel on this machine, `make test` checks everything.
# Both install what they need on a fresh Debian machine with rust, node, python3 and go, and say so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SENTINEL := target/release/sentinel

# The pinned version of Rust may be installed as `stable` only; then it is not downloaded once more.
RUST := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
ifeq ($(shell rustup toolchain list 2>/dev/null | grep -c '^$(RUST)-'),0)
ifeq ($(word 2,$(shell rustup run stable rustc --version 2>/dev/null)),$(RUST))
export RUSTUP_TOOLCHAIN := stable
endif
endif

.PHONY: help run build test lint unit demo bench chaos console console-dev dist compat fuzz docs clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

run: build ## Build what is missing and start `sentinel dev`
	@exec $(SENTINEL) dev $(ARGS)

build: ## Build the release binary
	@scripts/install.sh build
	cargo build --release --locked --package sentinel

test: ## Everything that CI runs
	@scripts/test.sh

lint: ## The linters only
	@scripts/install.sh lint
	@scripts/lint.sh

demo: ## Govern a real MCP tool on the running server (start `make run` first)
	@scripts/install.sh python
	@scripts/demo.sh

bench: build ## Measure, beside a bare echo in the same run
	@scripts/install.sh test peers
	cargo build --release --locked --package sentinel-bench
	target/release/sentinel-bench all --sentinel $(SENTINEL)
	cargo build --release --locked --package sentinel --features planted-faults --target-dir target/planted
	target/release/sentinel-bench all --only stuck --sentinel target/planted/release/sentinel

chaos: ## Break a fleet of replicas under load, RUNS times (default 1)
	@scripts/install.sh test
	@scripts/chaos.sh

console: ## Build the admin console into console/out
	@cd console && npm ci --silent --no-audit --no-fund && npm run --silent build

console-dev: ## Run the admin console with hot reload, against the server of `make run`
	@cd console && npm ci --silent --no-audit --no-fund && npm run dev

dist: ## Build the Python distribution and the npm packages into dist/
	@scripts/dist.sh

compat: ## Test the Python adapters with the oldest versions that they permit
	@adapters/python/tests/run.sh --floors

fuzz: ## Fuzz each parser for FUZZ_SECONDS (default 60)
	@fuzz/run.sh

docs: ## Regenerate the committed OpenAPI document, schemas, references and quotes
	UPDATE_OPENAPI=1 UPDATE_DOCS=1 cargo test --locked --package sentinel-core --package sentinel-policy-workbench --package sentinel-http --package sentinel --quiet -- generated committed
	cargo xtask docs --write

clean: ## Remove what was built
	cargo clean
	rm -rf .venv .venv-adapters .tools dist adapters/typescript/node_modules console/node_modules console/out scripts/clients/node_modules crates/provenance/tests/verifiers/node/node_modules
