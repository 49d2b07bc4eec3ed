#!/usr/bin/env bash
# Breaks a fleet of three replicas under load and checks every guarantee: docs/chaos.md.
# Usage: chaos.sh [--short]. RUNS is the number of runs, SECONDS_EACH their length, SEED the seed of the first. Stops at
# the first run that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

sentinel=target/release/sentinel
cargo build --quiet --locked --release --package sentinel
if [ "${1:-}" = --short ]; then
  # Uses what `cargo test` has just built, so that nothing is built twice.
  cargo test --quiet --locked --workspace --no-run
else
  cargo build --quiet --locked --package sentinel-chaos
fi

disk=()
if [ "${NO_DISK:-}" = 1 ]; then disk=(--no-disk); fi

if [ "${1:-}" = --short ]; then
  exec target/debug/sentinel-chaos --sentinel "$sentinel" --seed "${SEED:-1}" "${disk[@]}"
fi

runs=${RUNS:-1}
first=${SEED:-$((RANDOM * 32768 + RANDOM))}
for ((run = 0; run < runs; run++)); do
  printf '\n\033[1m==> run %d of %d\033[0m\n' "$((run + 1))" "$runs"
  target/debug/sentinel-chaos --sentinel "$sentinel" --seed "$((first + run))" \
    --seconds "${SECONDS_EACH:-150}" "${disk[@]}"
done
printf '\n\033[1m%d of %d runs passed\033[0m\n' "$runs" "$runs"
