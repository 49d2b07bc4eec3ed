#!/usr/bin/env bash
# Fuzzes every target for FUZZ_SECONDS (60) each, or only the targets named as arguments.
# Starts from the committed seeds/; what it learns goes to corpus/, what it finds to artifacts/.
# Ends with status 1 when any target finds anything.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${FUZZ_SECONDS:-60}"
toolchain="${FUZZ_TOOLCHAIN:-nightly}"
export CARGO_TARGET_DIR="$PWD/target"

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

if ! rustc "+$toolchain" --version >/dev/null 2>&1; then
  echo "fuzz: toolchain '$toolchain' is absent, installing it: rustup toolchain install $toolchain"
  rustup toolchain install "$toolchain" --profile minimal
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "fuzz: cargo-fuzz is absent, installing it: cargo install cargo-fuzz --locked"
  # Its own target folder, so that the build of the fuzzer does not end up among the targets'.
  env -u CARGO_TARGET_DIR cargo install cargo-fuzz --locked --version '^0.13'
fi
if ! cargo "+$toolchain" metadata --locked --format-version 1 >/dev/null; then
  echo "fuzz: Cargo.lock does not fit the workspace; run 'cargo update --workspace' in fuzz/ and commit it" >&2
  exit 1
fi

echo "fuzz: $(rustc "+$toolchain" --version), $(cargo fuzz --version), ${seconds} s each: ${targets[*]}"
failed=()
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target"
  echo "fuzz: $target: building"
  cargo "+$toolchain" fuzz build --fuzz-dir . "$target"
  echo "fuzz: $target: $(find "seeds/$target" -type f | wc -l) seeds, ${seconds} s"
  log="$(mktemp)"
  if cargo "+$toolchain" fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
      -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -dict=json.dict \
      -print_final_stats=1 >"$log" 2>&1; then
    runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    coverage="$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)"
    echo "fuzz: $target: nothing found in ${runs:-0} runs (${coverage:-no coverage})"
    # A run that did nothing has shown nothing.
    if [ "${runs:-0}" -eq 0 ]; then failed+=("$target"); fi
  else
    tail -n 60 "$log" >&2
    echo "fuzz: $target: FOUND SOMETHING, see fuzz/artifacts/$target" >&2
    failed+=("$target")
  fi
  rm -f "$log"
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "fuzz: failed: ${failed[*]}" >&2
  exit 1
fi
echo "fuzz: all targets passed"
