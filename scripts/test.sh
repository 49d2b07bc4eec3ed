#!/usr/bin/env bash
# Everything that CI runs, on a clean clone: installs what is missing, lints, tests, and runs the
# demo against the real binary and a real MCP server.
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
step() {
  local from=$SECONDS
  printf '\n\033[1m==> %s\033[0m\n' "$*"
  "$@"
  printf '    (%d s)\n' "$((SECONDS - from))"
}

step scripts/install.sh test lint python clients mcp
step scripts/lint.sh
step cargo test --locked --workspace
step cargo build --locked --release --package sentinel
step scripts/smoke.sh
step scripts/gateways.sh
step scripts/mcp.sh
step adapters/python/tests/run.sh
step adapters/typescript/test.sh
step console/test.sh --no-browser
step scripts/chaos.sh --short
printf '\n\033[1mall passed\033[0m in %d s\n' "$((SECONDS - began))"
