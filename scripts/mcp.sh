#!/usr/bin/env bash
# Tests MCP: the fixture with the public conformance suite, see conformance.py.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --quiet --package sentinel-mcp-fixture
fixture=target/debug/sentinel-mcp-fixture
.venv/bin/python scripts/conformance.py "$fixture"
