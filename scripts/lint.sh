#!/usr/bin/env bash
# Every linter of the repository. Fails at the first that finds something.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\033[1m==> %s\033[0m\n' "$*"; "$@"; }

step cargo fmt --all --check
step cargo xtask edges
step cargo clippy --locked --workspace --all-targets -- --deny warnings
# Every crate of the lock file has to be there, those of other systems too.
step cargo fetch --locked --quiet
step cargo deny --offline --log-level error check licenses bans sources
step .venv/bin/ruff check --quiet scripts
step .venv/bin/ruff format --quiet --check scripts
step .venv/bin/mypy --strict scripts/demo.py scripts/gateways.py
