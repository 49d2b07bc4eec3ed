#!/usr/bin/env bash
# Runs every linter of the repository. Stops at the first one that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\033[1m==> %s\033[0m\n' "$*"; "$@"; }

step cargo fmt --all --check
step cargo xtask edges
step cargo xtask layout
step cargo xtask docs
step cargo clippy --locked --workspace --all-targets -- --deny warnings
# cargo-deny needs every crate of the lock file, including those for other systems.
step cargo fetch --locked --quiet
step cargo deny --offline --log-level error check licenses bans sources
step .venv/bin/ruff check --quiet scripts benches adapters/python examples/python
step .venv/bin/ruff format --quiet --check scripts benches adapters/python examples/python
step .venv/bin/mypy --strict benches/peers/*.py scripts/conformance.py scripts/demo.py scripts/gateways.py scripts/mcp_clients.py \
  scripts/mcp_records.py scripts/mcp_servers.py scripts/mcp_sessions.py scripts/terminal.py
# The frameworks are in another environment: what is checked is our own code.
step .venv/bin/mypy --strict --no-site-packages --ignore-missing-imports --allow-subclassing-any \
  scripts/mcp/session.py scripts/mcp/frameworks/*.py
