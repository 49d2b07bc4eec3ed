#!/usr/bin/env bash
# Tests MCP: the public conformance suite, at the fixture directly and through the gateway, see conformance.py; then
# unmodified clients, agents and servers, see mcp_clients.py.
set -euo pipefail
cd "$(dirname "$0")/.."

# With the features of the whole workspace, so that what the tests have built is used.
cargo build --locked --quiet --workspace --bin sentinel-mcp-fixture
fixture=target/debug/sentinel-mcp-fixture
.venv/bin/python scripts/conformance.py "$fixture" --gateway target/release/sentinel
.venv/bin/python scripts/mcp_clients.py target/release/sentinel
