#!/usr/bin/env bash
# regorus 0.14.1 and OPA 1.22.2 disagree on a pattern that takes the pairs of `walk` apart.
#
# Seen 2026-11-28. `[_, value] := walk(input)` is evaluated by OPA once for each pair that `walk` yields; regorus
# 0.14.1 binds nothing, so the rule has no members, without an error. `walk(input, [_, value])`, the form with the
# pattern as an argument, has the members in both.
#
#   OPA      {"assigned":[1,{"a":1}],"passed":[1,{"a":1}]}
#   regorus  {"assigned":[],"passed":[1,{"a":1}]}
#
# Why it hurts: a rule that looks for something forbidden in nested arguments finds nothing where regorus evaluates
# the same file, and no test that runs under `opa test` shows it.
#
# Installs both in a temporary folder and fails when either answer changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >walk.rego <<'REGO'
package probe

import rego.v1

assigned contains value if [_, value] := walk(input)

passed contains value if walk(input, [_, value])
REGO
echo '{"a": 1}' >input.json

GOBIN=$dir/bin GOFLAGS= go install github.com/open-policy-agent/opa@v1.22.2
opa=$(bin/opa eval --format raw --data walk.rego --input input.json data.probe)

mkdir -p probe/src
cat >probe/Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
regorus = { version = "=0.14.1", default-features = false, features = ["std", "arc", "graph"] }
anyhow = "1"
TOML
cat >probe/src/main.rs <<'RUST'
fn main() -> anyhow::Result<()> {
    let mut engine = regorus::Engine::new();
    engine.add_policy_from_file("walk.rego")?;
    engine.set_input(regorus::Value::from_json_file("input.json")?);
    println!("{}", engine.eval_rule("data.probe".to_owned()).or_else(|_| engine.eval_query("data.probe".to_owned(), false).map(|found| found.result[0].expressions[0].value.clone()))?.to_json_str()?);
    Ok(())
}
RUST
cargo build --quiet --manifest-path probe/Cargo.toml
regorus=$(probe/target/debug/probe | tr -d ' \n')

echo "OPA      $opa"
echo "regorus  $regorus"
[ "$opa" = '{"assigned":[1,{"a":1}],"passed":[1,{"a":1}]}' ]
[ "$regorus" = '{"assigned":[],"passed":[1,{"a":1}]}' ]
