#!/usr/bin/env bash
# Builds what users install of the adapters into dist/: the Python wheel and the npm packages.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

rm -rf dist
mkdir dist
say "building the Python distribution"
environment=.venv-adapters/dist
[ -x $environment/bin/python ] || python3 -m venv $environment
$environment/bin/pip install --quiet --disable-pip-version-check build==1.6.1
$environment/bin/python -m build --outdir dist adapters/python >/dev/null
say "building the npm packages"
(cd adapters/typescript && npm ci --silent --no-audit --no-fund && npx tsc --build)
npm pack --silent --workspaces --prefix adapters/typescript --pack-destination "$PWD/dist" >/dev/null
ls -l dist
