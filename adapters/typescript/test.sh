#!/usr/bin/env bash
# Installs, builds, checks and tests the adapters for TypeScript, and prints the time of each step.
#
# SENTINEL_BINARY names the binary that the tests start; by default that of the release build.
set -euo pipefail
cd "$(dirname "$0")"
export SENTINEL_BINARY=${SENTINEL_BINARY:-$PWD/../../target/release/sentinel}

step() {
	local began=$SECONDS
	"${@:2}"
	echo "adapters/typescript: $1: $((SECONDS - began)) s"
}

# `npm ci` removes what is there, which is 650 MB: not when it is what the lock says.
install() {
	if ! cmp -s package-lock.json node_modules/.installed-lock; then
		npm ci --no-audit --no-fund
		cp package-lock.json node_modules/.installed-lock
	fi
}

step install install
step types npx tsc --build
step lint npx biome ci .
step tests npx vitest run "$@"
