#!/usr/bin/env bash
# Installs what a step needs and the machine lacks, and says so. Usage: install.sh STEP…
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install COMMAND PACKAGE: a Debian package, unless its command is there already.
apt_install() {
  command -v "$1" >/dev/null && return
  say "installing $2 (apt)"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
}

# The server's commands are not on the path. Its package would also start a server, which is disabled here.
postgresql() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return
  say "installing postgresql (apt); the tests start servers of their own"
  as_root apt-get update -qq
  as_root install -d /etc/postgresql-common
  as_root sh -c 'f=/etc/postgresql-common/createcluster.conf; [ -e $f ] || echo "create_main_cluster = false" >$f'
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
}

cargo_install() {
  command -v "$1" >/dev/null && return
  say "installing $1 $2 (cargo, takes a few minutes)"
  # In its own target folder, so that the project is not rebuilt.
  cargo install --locked --quiet --version "$2" "$1"
}

# go_tool COMMAND VERSION PACKAGE HINT: builds a program of a Go module into .tools/bin, under the name COMMAND. Tests
# and benchmarks look for it only there, because another version on the path would give other results.
go_tool() {
  local built=.tools/bin/$1
  is_built() { [ -x "$built" ] && go version -m "$built" | grep -E "^\s+mod\s+\S+\s+v$2\s" >/dev/null; }
  command -v go >/dev/null || { echo "error: go is missing; install go 1.25 or newer" >&2; exit 1; }
  is_built "$@" && return
  say "building $1 $2 into .tools/bin (go install, takes $4)"
  # Without the caller's Go flags. An older go downloads the required toolchain.
  env GOBIN="$PWD/.tools/bin" GOFLAGS= GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" \
    go install -trimpath -ldflags '-s -w' "$3@v$2"
  [ "${3##*/}" = "$1" ] || mv ".tools/bin/${3##*/}" "$built"
  is_built "$@" || { echo "error: $built is not $1 $2" >&2; exit 1; }
}

# go_module MODULE VERSION: downloads the sources of a Go module to Go's cache, where the tests read them.
go_module() {
  command -v go >/dev/null || { echo "error: go is missing; install go 1.25 or newer" >&2; exit 1; }
  [ -d "$(go env GOMODCACHE)/$1@v$2" ] && return
  say "downloading $1 $2 (go mod download)"
  env GOFLAGS= GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" go mod download "$1@v$2"
  [ -d "$(go env GOMODCACHE)/$1@v$2" ] || { echo "error: $1 $2 is not in Go's cache" >&2; exit 1; }
}

# The verifier @sigstore/verify, which the tests run on bundles.
node_verifier() {
  local at=crates/provenance/tests/verifiers/node
  command -v npm >/dev/null || { echo "error: npm is missing; install node 20 or newer" >&2; exit 1; }
  cmp -s $at/package-lock.json $at/node_modules/installed.json && return
  say "installing @sigstore/verify into $at (npm)"
  npm ci --prefix $at --no-audit --no-fund --loglevel=error
  cp $at/package-lock.json $at/node_modules/installed.json
}

toolchain() {
  command -v cargo >/dev/null || { echo "error: cargo is missing; install rust 1.95 or newer" >&2; exit 1; }
  apt_install cc build-essential
  apt_install cmake cmake
}

python() {
  environment .venv scripts/requirements.txt
}

# environment FOLDER LOCK: a virtual environment with the packages of a lock.
environment() {
  command -v python3 >/dev/null || { echo "error: python3 is missing; install python 3.11 or newer" >&2; exit 1; }
  if ! [ -x "$1/bin/python" ]; then
    say "creating the virtual environment $1"
    python3 -m venv "$1"
  fi
  if ! cmp -s "$2" "$1/installed.txt"; then
    say "installing $(grep -c '==' "$2") Python packages into $1"
    # The lock names all that is needed. Without --no-deps pip looks for it again, and refuses extras of pinned packages.
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$2"
    cp "$2" "$1/installed.txt"
  fi
}

# The gateways that ours is compared with. ContextForge needs python 3.12 or 3.13; without one the benchmark says that
# they were not measured.
peers() {
  local at=.tools/bench-venv lock=benches/peers/requirements.txt python
  cmp -s $lock $at/installed.txt && return
  for python in python3 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[32].*/bin/python; do
    "$python" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null && break
    python=
  done
  if [ -z "$python" ]; then
    say "no python 3.12 or 3.13: the gateway is not compared with others"
    return
  fi
  say "installing $(grep -c '==' $lock) Python packages into $at"
  "$python" -m venv --clear $at
  $at/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $lock
  cp $lock $at/installed.txt
}

# The public clients that the tests use.
clients() {
  command -v npm >/dev/null || { echo "error: npm is missing; install node 20 or newer" >&2; exit 1; }
  cmp -s scripts/clients/package-lock.json scripts/clients/node_modules/installed.json && return
  say "installing OPA's TypeScript SDK into scripts/clients (npm ci)"
  npm --prefix scripts/clients ci --silent --no-audit --no-fund
  cp scripts/clients/package-lock.json scripts/clients/node_modules/installed.json
}

# The public suite, clients, servers and agents of MCP that the gateway is tested with.
mcp() {
  environment .venv-mcp/sdk1 scripts/mcp/frameworks/sdk1.txt
  environment .venv-mcp/sdk2 scripts/mcp/frameworks/sdk2.txt
  command -v npm >/dev/null || { echo "error: npm is missing; install node 20 or newer" >&2; exit 1; }
  cmp -s scripts/mcp/package-lock.json scripts/mcp/node_modules/installed.json && return
  say "installing the MCP conformance suite, clients, servers and Claude Code into scripts/mcp (npm ci)"
  # Without install scripts: none of these packages needs one. Some ask for node 22, which is among them.
  npm --prefix scripts/mcp ci --silent --no-audit --no-fund --ignore-scripts
  cp scripts/mcp/package-lock.json scripts/mcp/node_modules/installed.json
}

for step in "$@"; do
  case "$step" in
    build) toolchain ;;
    test)
      toolchain
      apt_install openssl openssl
      apt_install ssh-keygen openssh-client
      apt_install git git
      apt_install curl curl
      postgresql
      apt_install redis-server redis-server
      # With it the chaos suite changes the clock of one replica.
      apt_install faketime faketime
      # The embedded policy engine is compared with it.
      go_tool opa 1.22.2 github.com/open-policy-agent/opa "a minute or two"
      # OPA's compliance cases, which the embedded engine must pass.
      go_module github.com/open-policy-agent/opa 1.22.2
      go_tool cosign 3.1.1 github.com/sigstore/cosign/v3/cmd/cosign "about five minutes"
      go_tool litewitness 0.10.0 filippo.io/torchwood/cmd/litewitness "a minute or two"
      # A second log and a timestamp authority, from which bundles can have entries.
      go_tool rekor-server 2.3.0 github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix "a minute or two"
      go_tool timestamp-server 2.1.5 github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server "a minute or two"
      node_verifier
      # A KMS for the tests of signing keys.
      go_tool local-kms 0.0.0-20260228092603-2a5e92d09ab6 github.com/nsmithuk/local-kms "a minute"
      # A real S3 for the tests of archives.
      go_tool versitygw 1.8.0 github.com/versity/versitygw/cmd/versitygw "a minute or two"
      ;;
    lint)
      toolchain
      rustup component list --installed 2>/dev/null | grep -q '^clippy' || rustup component add clippy rustfmt
      cargo_install cargo-deny 0.20.2
      ;;
    python) python ;;
    peers) peers ;;
    clients) clients ;;
    mcp) mcp ;;
    *) echo "error: unknown step \`$step\`" >&2; exit 2 ;;
  esac
done
