#!/usr/bin/env bash
# Test the Python client (`core`) and the adapters for Python frameworks, each in an environment of its own.
#
# Usage: run.sh [--floors] [NAME…]     all of ../requirements unless some are named
#
#   --floors   with the oldest version that pyproject.toml permits of each framework, and print a table
#
# SENTINEL_BINARY names the program `sentinel`; target/release/sentinel by default.
# SENTINEL_ADAPTER_JOBS frameworks are tested at once, 2 by default: most of the time is waiting.
# Prints the time of each step. The exit status is 0 when all tests passed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
package=$(dirname "$here")
root=$(cd "$package/../.." && pwd)
environments=$root/.venv-adapters
export SENTINEL_BINARY=${SENTINEL_BINARY:-$root/target/release/sentinel}
export UV_LINK_MODE=hardlink PYTHONDONTWRITEBYTECODE=1

floors=
if [ "${1:-}" = --floors ]; then
  floors=1
  shift
fi

# Print the seconds that a command took, and fail as it does.
timed() {
  local what=$1 started=$SECONDS status=0
  shift
  "$@" || status=$?
  printf 'adapters: %-28s %4d s%s\n' "$what" $((SECONDS - started)) "$([ $status = 0 ] || echo '  FAILED')"
  return $status
}

install_uv() {
  [ -x "$environments/uv/bin/uv" ] && return
  python3 -m venv "$environments/uv"
  echo '*' >"$environments/.gitignore"
  "$environments/uv/bin/pip" install --quiet uv==0.13.9
}

# The lines that an environment is made from: the lock, or for floors the oldest release of the framework.
wanted() {
  if [ -z "$floors" ]; then
    cat "$package/requirements/$1.txt"
  else
    python3 "$here/floor.py" "$1"
    cat "$package/requirements/common.in"
  fi
}

environment() {
  local name=$1 at=$environments/$1${floors:+-floor} uv=$environments/uv/bin/uv
  wanted "$name" >"$at.wanted"
  if ! cmp -s "$at.wanted" "$at/wanted"; then
    "$uv" venv --quiet --clear --python "$(command -v python3)" "$at"
    "$uv" pip install --quiet --python "$at/bin/python" $([ -n "$floors" ] || echo --require-hashes) -r "$at.wanted"
    # The package itself as it is here, without a build.
    echo "$package/src" >"$("$at/bin/python" -c 'import site; print(site.getsitepackages()[0])')/sentinel_mcp.pth"
    mv "$at.wanted" "$at/wanted"
  else
    rm "$at.wanted"
  fi
}

tests() {
  local name=$1 at=$environments/$1${floors:+-floor}
  if [ "$name" = core ]; then
    (cd "$package" && "$at/bin/python" -m pytest -p no:asyncio --quiet --ignore tests/frameworks)
  else
    (cd "$here/frameworks" && "$at/bin/python" -m pytest -c pytest.ini "test_${name//-/_}.py")
  fi
}

# The types of what is written against a framework are checked against the framework.
types() {
  local name=$1 at=$environments/$1 source=$package/src/sentinel_mcp
  local mypy=("$environments/core/bin/python" -m mypy --config-file "$root/pyproject.toml" --strict
    --cache-dir "$at/mypy" --python-executable "$at/bin/python")
  if [ "$name" = core ]; then
    "${mypy[@]}" --exclude /frameworks/ "$source"
  else
    "${mypy[@]}" --follow-imports=silent "$source"/frameworks/"${name//-/_}"*
  fi
}

one() {
  local name=$1 log
  log=$(mktemp)
  {
    timed "$name: environment" environment "$name" &&
      { [ -n "$floors" ] || timed "$name: types" types "$name"; } &&
      timed "$name: tests" tests "$name"
  } >"$log" 2>&1 && local status=0 || local status=$?
  if [ $status = 0 ]; then
    grep -E '^adapters:|passed' "$log"
  else
    cat "$log"
  fi
  rm -f "$log"
  return $status
}

if [ "${1:-}" = --one ]; then
  shift
  one "$1"
  exit
fi

mkdir -p "$environments"
timed uv install_uv
# Its type checker serves the others.
[ -n "$floors" ] || timed 'core: environment' environment core
if [ $# = 0 ]; then
  for lock in "$package"/requirements/*.txt; do
    [ -n "$floors" ] && [ "$(basename "$lock")" = core.txt ] && continue
    set -- "$@" "$(basename "$lock" .txt)"
  done
fi
status=0
printf '%s\n' "$@" | xargs -P "${SENTINEL_ADAPTER_JOBS:-2}" -I{} "$0" ${floors:+--floors} --one {} || status=1
if [ -n "$floors" ]; then
  python3 "$here/floor.py" --table "$environments" "$@"
fi
printf 'adapters: %-28s %4d s\n' 'all' "$SECONDS"
exit $status
