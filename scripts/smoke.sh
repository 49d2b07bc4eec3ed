#!/usr/bin/env bash
# Runs the demo against the real binary: starts it on a free port with an empty data folder, runs the demo, stops the
# server, starts it again on the same folder and runs the demo once more. Stops at the first unexpected result and shows
# the server's log.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/server.sh

# demo LINE: runs the demo, which must pass and print LINE.
demo() {
  scripts/demo.sh 2>&1 | tee "$work/demo.txt"
  grep -qF -- "$1" "$work/demo.txt" || fail "the demo did not print: $1"
}

day=$(date -u +%F)

start
demo '5 allowed, 5 calls reached the tool'
stop
[ "$(stat -c %a "$work/data/keys.json")" = 600 ] || fail "others can read the keys"

start
if [ "$(date -u +%F)" = "$day" ]; then
  # The quota is counted on disk, so it is still used up after the restart.
  demo '0 allowed, 0 calls reached the tool'
else
  demo 'Everything was as expected.'
fi
stop
printf 'smoke: the demo passed twice, across a restart\n'
