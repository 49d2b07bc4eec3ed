#!/usr/bin/env bash
# Sourced by scripts that test the real binary: starts it with an empty data folder, stops it, and
# shows the server's log when the script fails.

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
  printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
  exit 1
}

# ready FIELD: prints that field of the log line which says that the server is ready. Fails while there is no such
# line.
ready() {
  .venv/bin/python - "$log" "$1" <<'PYTHON'
import json
import sys

for line in open(sys.argv[1], encoding="utf-8"):
    try:
        entry = json.loads(line)
    except ValueError:
        continue
    if isinstance(entry, dict) and entry.get("event") == "server.ready":
        print({**entry, **entry["metadata"]}[sys.argv[2]])
        sys.exit(0)
sys.exit(1)
PYTHON
}

# start OPTION…: starts `sentinel dev` on a free port, and waits until it is ready.
start() {
  : >"$log"
  "$binary" dev --listen 127.0.0.1:0 --log json --data-dir "$SENTINEL_DATA_DIR" "$@" >"$log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    if SENTINEL_URL=$(ready url); then
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

[ -x "$binary" ] || fail "there is no $binary; run \`make build\`"
unset SENTINEL_API_KEY
export SENTINEL_DATA_DIR=$work/data
