#!/usr/bin/env bash
# Everything that checks the console. Prints the time of each step.
#
# Usage: test.sh [--no-browser]     without the tests in Chromium, which CI does not run yet
#
# SENTINEL_BIN names the binary that the browser tests run against; CONSOLE_PICTURES=1 also takes
# the pictures in docs/images again.
set -euo pipefail
cd "$(dirname "$0")"
export NEXT_TELEMETRY_DISABLED=1
export CHROMIUM="${CHROMIUM:-/usr/bin/chromium}"
: "${SENTINEL_BIN:=$PWD/../target/release/sentinel}"
export SENTINEL_BIN

browser=1
[ "${1:-}" = --no-browser ] && browser=

for needed in ${browser:+"$SENTINEL_BIN" "$CHROMIUM"}; do
  if [ ! -x "$needed" ]; then
    echo "there is no $needed: build the binary, install Debian's chromium, or set SENTINEL_BIN and CHROMIUM" >&2
    exit 2
  fi
done

step() {
  local name=$1 began=$SECONDS
  shift
  if ! "$@"; then
    echo "FAILED $name after $((SECONDS - began)) s" >&2
    exit 1
  fi
  printf '%-12s %4d s\n' "$name" "$((SECONDS - began))"
}

# What is installed is what the lock file says: nothing to do.
install() {
  if ! cmp -s package-lock.json node_modules/.installed-lock; then
    npm ci --no-audit --no-fund --silent && cp package-lock.json node_modules/.installed-lock
  fi
}

step "npm ci" install
step "typegen" npx next typegen
step "tsc" npx tsc --noEmit
step "biome" npx biome check .
step "vitest" npx vitest run --silent --reporter=dot
step "next build" npm run --silent build
step "budget" node scripts/budget.mjs out
[ -z "$browser" ] || step "playwright" npx playwright test
printf '%-12s %4d s\n' "all" "$SECONDS"
