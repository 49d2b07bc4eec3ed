#!/usr/bin/env bash
# Tests the real binary with public clients and with Envoy: see gateways.py and clients/opa.mjs.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/server.sh

start --ext-authz-listen 127.0.0.1:0
SENTINEL_EXT_AUTHZ=$(ready ext_authz)
export SENTINEL_EXT_AUTHZ
.venv/bin/python scripts/gateways.py
node scripts/clients/opa.mjs
stop
