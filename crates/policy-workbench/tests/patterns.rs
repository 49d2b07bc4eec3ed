//! Objects as patterns, rules whose names have variables, keyed membership and the order of sets
//! and objects: what the engine and OPA read differently is refused, and what they read alike is
//! not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use rstest::rstest;
use support::vet;

/// The codes of the findings that refuse a policy.
fn refused(rules: &str) -> Vec<&'static str> {
    let found = vet(&format!("default allow := false\n{rules}")).map(drop).err();
    let findings = found.map(|error| error.findings()).unwrap_or_default();
    let errors = findings
        .iter()
        .filter(|finding| finding.lint.severity() == sentinel_policy_analysis::Severity::Error);
    errors.map(|finding| finding.lint.code()).collect()
}

#[rstest]
// An object with more fields than the pattern matches here, and not in OPA.
#[case("allow if { {\"a\": x} = input.context; x == 1 }")]
#[case("allow if { input.context = {\"a\": x}; x == 1 }")]
#[case("allow if { {\"a\": x} := input.context; x == 1 }")]
#[case("allow if { [{\"a\": x}, 1] = input.context.list; x == 1 }")]
#[case("allow if { [{\"a\": x}] = [input.context]; x == 1 }")]
#[case("allow if { {\"a\": x, \"b\": 1} = {\"a\": 1, \"b\": 1, \"c\": 1}; x == 1 }")]
#[case("allow if { some {\"a\": x} in input.context.list; x == 1 }")]
#[case("allow if f(input.context)\nf({\"a\": x}) if x == 1")]
#[case("allow if count([x | {\"a\": x} = input.context]) == 1")]
// Where the parts are taken one by one, one that is written out matches more, too.
#[case("allow if f(input.context)\nf({}) if true")]
#[case("allow if f(input.context)\nf({\"a\": 1}) if true")]
#[case("allow if { [x, {\"a\": 1}] = input.context.list; x == 1 }")]
#[case("allow if { some {\"a\": 1} in input.context.list }")]
#[case("allow if { f(input.context, {\"a\": x}); x == 1 }\nf(x) := x")]
// Not all that may be there has the same fields.
#[case("allow if { f({\"a\": 1}); f({\"a\": 1, \"b\": 2}) }\nf({\"a\": x}) if x == 1")]
#[case("allow if { f({\"a\": 1}); g(1) with g as f }\nf({\"a\": x}) if x == 1\ng(x) if x == 1")]
#[case("allow if { some {\"a\": x} in [{\"a\": 1}, {\"a\": 1, \"b\": 2}]; x == 1 }")]
#[case("allow if { some {\"a\": x} in [{\"a\": 1}, input.context]; x == 1 }")]
#[case("allow if { {\"a\": x, input.tool: y} = {\"a\": 1, \"b\": 2}; x == y }")]
#[case("allow if { y := input.context; y = {\"a\": x}; x == 1 }")]
#[case("allow if { input.context = y; y = {\"a\": x}; x == 1 }")]
#[case("allow if { some y in input.context.list; y = {\"a\": x}; x == 1 }")]
#[case("allow if f(input.context)\nf(y) if { y = {\"a\": x}; x == 1 }")]
#[case("allow if { every y in input.context.list { y = {\"a\": x}; x == 1 } }")]
#[case("allow if { {\"a\": x} = data.list[_]; x == 1 }")]
#[case("allow if { walk(input.context, [_, {\"a\": x}]); x == 1 }")]
#[case("allow if { every y in [1] { {\"a\": x} = input.context; x == y } }")]
#[case("allow if input.tool == \"a\"\nelse := x if { {\"a\": x} = input.context }")]
// Without entries the rule is undefined here, and an empty object in OPA.
#[case("tree[k].n := v if { some k, v in input.context }\nallow if not tree")]
#[case("tree.part[k] := v if { some k, v in input.context }\nallow if count(tree) == 0")]
#[case("tree.part[k] := v if { some k, v in input.context }\nallow if count(tree.part) == 0")]
#[case("tree[k] contains v if { some k, v in input.context }\nallow if tree == {}")]
#[case("tree[k].n := v if { some k, v in input.context }\nallow if data.sentinel.policy.tree")]
#[case(
    "tree[k].n := v if { some k, v in input.context }\nallow if { every x in tree { x.n == 1 } }"
)]
// Both undefined, it holds here.
#[case("allow if input.context.k, input.context.v in [\"a\"]")]
#[case("allow if 5, input.context.v in [\"a\"]")]
#[case("allow if missing, missing in [\"a\"]\nmissing if input.context.no")]
#[case("allow if { input, 1 in [\"a\"] }")]
// Sets come before objects here, and after them in OPA.
#[case("allow if { input.tool; {1} < input.context }")]
#[case("allow if input.context >= {x | some x in input.context.list}")]
#[case("allow if set() <= {\"a\": input.usage}")]
#[case("allow if input.context.a < object.keys({\"a\": 1})")]
#[case("allow if union({{1}, {2}}) > input.context.a")]
// A call here, and two conditions in OPA.
#[case("allow if {\n\tok\n\t(3 < input.usage)\n}\ndefault ok := false")]
#[case("allow if {\n\tdata.sentinel.policy.ok\n\t(3 < input.usage)\n}\nok if input.tool")]
#[case("allow if f (input.usage)\nf(x) if x == 1")]
#[case("allow if startswith # it\n(input.tool, \"a\")")]
// OPA reads on to the next line.
#[case("allow if {\n\tsome _, v in [1, 2, 3]\n\t-3 <= v\n}")]
// OPA writes ten digits behind the point.
#[case("allow if json.marshal(units.parse(\"100m\")) == \"0.1\"")]
#[case("allow if json.marshal(units.parse(\"1.5\")) == \"1.5\"")]
#[case("allow if json.marshal(units.parse(\"1.0005K\")) == \"1000.5\"")]
// Builtins whose results are others.
#[case("allow if { x := trace(\"a\"); x == \"a\" }")]
#[case("allow if trace(\"a\", \"a\")")]
#[case("allow if rand.intn(\"a\", input.usage) == 0")]
#[case("allow if rand.intn(\"a\", -3) == 0")]
#[case("allow if time.diff(input.usage, 0)[0] == 0")]
#[case("allow if time.format(input.usage) == \"\"")]
#[case("allow if time.parse_ns(\"2006-01-02\", input.tool) == 0")]
#[case("allow if json.match_schema(input.context.a, {\"type\": \"string\"})[0]")]
#[case("allow if json.match_schema({\"a\": 1}, input.context.schema)[0]")]
fn what_opa_reads_otherwise_is_refused(#[case] rules: &str) {
    let codes = refused(rules);
    let refused =
        codes.iter().any(|code| matches!(*code, "differs_from_opa" | "unbounded_builtin"));
    assert!(refused, "{codes:?} for {rules}");
}

#[rstest]
#[case("allow if { {\"a\": x, \"b\": 1} = {\"b\": 1, \"a\": input.usage}; x == 1 }")]
#[case("allow if { {\"a\": [x, {\"b\": y}]} = {\"a\": [1, {\"b\": input.usage}]}; x == y }")]
#[case("allow if { {\"a\": 1} = input.context }")]
#[case("allow if { x := {\"a\": input.usage}; x.a == 1 }")]
#[case("allow if { [x, y] = input.context.list; x == y }")]
#[case("allow if f({\"a\": 1})\nf(x) if x.a == 1")]
#[case("allow if f({\"a\": input.usage})\nf({\"a\": x}) if x == 1")]
#[case("allow if { some {\"a\": x} in [{\"a\": 1}, {\"b\": 1}, 1]; x == 1 }")]
#[case("allow if { y = {\"a\": input.usage}; y.a == 1 }")]
#[case("allow if { u := input.usage; {\"a\": u} = y; y.a == u }")]
#[case("tree[k].n := v if { some k, v in input.context }\nallow if tree[input.tool].n == 1")]
#[case("tree.part[k] := v if { some k, v in input.context }\nallow if tree.part.a == 1")]
#[case("map[k] := v if { some k, v in input.context }\nallow if count(map) == 1")]
#[case("ref.part contains v if { some v in input.context }\nallow if count(ref.part) == 1")]
#[case("allow if { k := input.context.k; v := input.tool; k, v in [\"a\"] }")]
#[case("allow if 0, \"a\" in [input.tool]")]
#[case("allow if { input.tool; {1} < {x | some x in input.context.list} }")]
#[case("allow if input.usage < 10")]
#[case("allow if { x := 3; f(input.usage, x) }\nf(x) := x")]
#[case("allow if {\n\tok\n\t3 < input.usage\n}\ndefault ok := false")]
#[case("allow if data[\"sentinel\"].policy.f(input.usage)\nf(x) if x == 1")]
#[case("allow if input.usage < units.parse(\"1.5Gi\") + units.parse_bytes(\"10KB\")")]
#[case("allow if input.usage < units.parse(\"0.25M\")")]
#[case(
    "allow if { units.parse(\"100m\") < input.usage; input.usage < 2 * units.parse(\"1.1Ki\") }"
)]
#[case("allow if { trace(\"a\"); input.tool == \"a\" }")]
#[case("allow if rand.intn(\"a\", 3) == 0")]
#[case("allow if json.match_schema({\"a\": input.context}, {\"required\": [\"a\"]})[0]")]
fn what_opa_reads_alike_is_not(#[case] rules: &str) {
    assert_eq!(refused(rules), Vec::<&str>::new(), "{rules}");
}
