#!/usr/bin/env bash
# Runs the demo against a running Sentinel. Reads SENTINEL_URL and the variables of demo.py.
set -euo pipefail
cd "$(dirname "$0")/.."

export SENTINEL_URL=${SENTINEL_URL:-http://127.0.0.1:8000}
SENTINEL_URL=${SENTINEL_URL%/}

# Without curl, which may be missing. Without a proxy, because the server is usually on this machine.
is_ready() {
  .venv/bin/python - "$SENTINEL_URL/readyz" <<'PYTHON' 2>/dev/null
import sys
import urllib.request as request

opener = request.build_opener(request.ProxyHandler({}))
opener.open(sys.argv[1], timeout=5).close()
PYTHON
}

if ! is_ready; then
  echo "error: no Sentinel is ready at $SENTINEL_URL" >&2
  echo " help: run \`make run\` in another terminal, or set SENTINEL_URL" >&2
  exit 1
fi
exec .venv/bin/python scripts/demo.py
