#!/usr/bin/env bash
# Runs the demo against the real binary: starts it on a free port with an empty data folder, runs
# the demo, stops it, starts it again on the same folder and runs the demo once more. Fails at the
# first thing that is not as it should be, and shows the server's log then.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${SENTINEL_BIN:-target/release/sentinel}
work=$(mktemp -d)
log=$work/server.log
server=

cleanup() {
  local status=$?
  trap - EXIT
  if [ -n "$server" ]; then
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if [ "$status" != 0 ] && [ -f "$log" ]; then
    printf -- '--- the last lines of the server, which failed or was asked the wrong thing:\n' >&2
    tail -n 40 "$log" >&2
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  printf 'smoke: %s\n' "$*" >&2
  exit 1
}

# The address in the line of the log that says the server is ready; fails until there is one.
ready_url() {
  .venv/bin/python - "$log" <<'PYTHON'
import json
import sys

for line in open(sys.argv[1], encoding="utf-8"):
    try:
        entry = json.loads(line)
    except ValueError:
        continue
    if isinstance(entry, dict) and entry.get("event") == "server.ready":
        print(entry["url"])
        sys.exit(0)
sys.exit(1)
PYTHON
}

start() {
  : >"$log"
  "$binary" dev --listen 127.0.0.1:0 --log json --data-dir "$SENTINEL_DATA_DIR" >"$log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    if SENTINEL_URL=$(ready_url); then
      export SENTINEL_URL
      return
    fi
    kill -0 "$server" 2>/dev/null || fail "the server ended before it was ready"
    sleep 0.1
  done
  fail "the server was not ready within 10 s"
}

stop() {
  local status=0
  kill -TERM "$server"
  for _ in $(seq 150); do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  kill -0 "$server" 2>/dev/null && fail "the server did not stop within 15 s of SIGTERM"
  wait "$server" || status=$?
  server=
  [ "$status" = 0 ] || fail "the server ended with status $status after SIGTERM"
}

# demo LINE: the demo passes, and prints LINE.
demo() {
  scripts/demo.sh 2>&1 | tee "$work/demo.txt"
  grep -qF -- "$1" "$work/demo.txt" || fail "the demo did not print: $1"
}

[ -x "$binary" ] || fail "there is no $binary; run \`make build\`"
unset SENTINEL_API_KEY
export SENTINEL_DATA_DIR=$work/data
day=$(date -u +%F)

start
demo '5 allowed, 5 calls reached the tool'
stop
[ "$(stat -c %a "$work/data/keys.json")" = 600 ] || fail "others can read the keys"

start
if [ "$(date -u +%F)" = "$day" ]; then
  # The quota is counted on disk: it stays used up across the restart.
  demo '0 allowed, 0 calls reached the tool'
else
  demo 'Everything was as expected.'
fi
stop
printf 'smoke: the demo passed twice, across a restart\n'
