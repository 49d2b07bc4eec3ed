#!/usr/bin/env bash
# Tests MCP: the public conformance suite, at the fixture directly and through the gateway, see conformance.py; then
# unmodified clients, agents and servers, see mcp_clients.py.
set -euo pipefail
cd "$(dirname "$0")/.."

# Its own test has it built. `cargo build` would build half of the workspace again, with other features.
cargo test --locked --quiet --workspace --test program
.venv/bin/python scripts/conformance.py target/debug/sentinel-mcp-fixture --gateway target/release/sentinel
.venv/bin/python scripts/mcp_clients.py target/release/sentinel
