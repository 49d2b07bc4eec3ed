//! What OPA evaluates before a negation, and what else it evaluates otherwise: refused, unless the
//! text shows that both have the same result, and then both have it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::path::Path;

use rstest::rstest;
use sentinel_policy_analysis::SourceLimits;
use sentinel_policy_workbench::Evaluator;
use sentinel_testkit::opa::Server;
use serde_json::{Value, json};
use support::{vet, vet_files, vetter, write};

fn codes(rules: &str) -> Vec<&'static str> {
    match vet(rules) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let errors = error.findings().into_iter();
            let errors = errors
                .filter(|found| found.lint.severity() == sentinel_policy_analysis::Severity::Error);
            errors.map(|found| found.lint.code()).collect()
        }
    }
}

const RULES: &str = "default allow := false\nf(x) if x == data.never\nh[k] := 1 if some k in [\"b\"]\n\
                     s contains x if some x in input.s\nd := 1 if input.d\ndefault e := 2\n\
                     total(_) := 1\nnamed := {\"b\": 1}\n";

/// With nothing in `input`, each of these holds in the interpreter and not in OPA.
#[rstest]
#[case::argument("not f(input.x)")]
#[case::by_variable("about := input; not f(about.x)")]
#[case::from_data("not f(data.owners[input.tool].team)")]
#[case::builtin("not startswith(input.x, \"a\")")]
#[case::element("some c in [input]; not startswith(c.x, \"a\")")]
#[case::nested("not f(lower(input.x))")]
#[case::arithmetic("not input.n + 1 == 2")]
#[case::compared_arithmetic("not input.n + 1 > 2")]
#[case::comparison("not input.x != 1")]
#[case::less("not input.x < 1")]
#[case::index("not data.named[input.x]")]
#[case::index_of_rule("not named[input.x]")]
#[case::index_in_equation("not named[lower(input.x)] == 1")]
#[case::membership("not \"a\" in input.roles")]
#[case::member("not input.x in [1, 2]")]
#[case::array("not [input.x] == [1]")]
#[case::object("not {\"a\": input.x} == {}")]
#[case::negative("not -input.x == 1")]
#[case::rule("not f(d)")]
#[case::field_of_rule("not f(h.a)")]
#[case::type_check("not is_null(input.x)")]
#[case::count("not count(input.x) > 1")]
#[case::user_function("not f(g(1))\ng(x) := x if input.g")]
#[case::every("every x in [1] { not f(input.y); x == 1 }")]
#[case::comprehension("count([1 | not f(input.x)]) > 0")]
#[case::with("not f(input.x) with input.y as 1")]
#[case::with_all("input.x; not f(input.x) with input as {}")]
#[case::with_other_input("not f(input.tool) with input as {}")]
#[case::evaluated_with_other_input("g with input as {}\ng if not f(input.tool)")]
#[case::evaluated_with_other_data(
    "g with data.sentinel.policy as {}\ng if not f(data.sentinel.policy.e)"
)]
#[case::printed("print(input.x); not f(input.x)")]
#[case::of_another_body("not f(input.x)\nallow if { input.x; false }")]
#[case::hidden("input.x; x := input; count([1 | some x in [{}]; not f(x.x)]) > 0")]
fn a_negated_call_that_may_be_undefined_is_refused(#[case] body: &str) {
    let rules = match body.split_once('\n') {
        Some((body, rest)) => format!("{RULES}allow if {{ {body} }}\n{rest}"),
        None => format!("{RULES}allow if {{ {body} }}"),
    };
    assert_eq!(codes(&rules), ["negated_call"], "{body}");
}

/// What is admitted has OPA's result, with and without the fields.
#[rstest]
#[case("not input.x")]
#[case("not input.x == 1")]
#[case("not 1 == input.x")]
#[case("not f(\"b\")")]
#[case("input.x; not f(input.x)")]
#[case("not f(input.x); input.x == 1")]
#[case("x := input.x; not f(x)")]
#[case("about := input.about; about.team; not f(about.team)")]
#[case("about := input.about; input.about.team; not f(about.team)")]
#[case("some x in [1, 2]; not f(x)")]
#[case("not f(object.get(input, \"x\", 1))")]
#[case("not f(e)")]
#[case("not f(input.tool)")]
#[case("not f(s)")]
#[case("not \"a\" in s")]
#[case("not f(h)")]
#[case("not f(total(1))")]
#[case("not f([y | y := input.q])")]
#[case("not count([1 | input.x]) > 0")]
#[case("not d")]
#[case("not h.a")]
#[case("x := input.x; not h[x]")]
#[case("x := input.x; not named[x]")]
#[case("not f(input.x) with input.x as \"a\"")]
#[case("not d with input.d as true")]
#[case("input.x; not f(lower(\"A\"))")]
#[case("not \"c\" in data.listed")]
#[case("every x in [1, 2] { not f(x) }")]
#[case("is_string(input.x); not startswith(input.x, \"a\")")]
#[case("x := input.x; not x + 1 > 2")]
fn what_is_admitted_is_as_in_opa(#[case] body: &str) {
    let policy = format!("package sentinel.policy\n\n{RULES}\nallow if {{ {body} }}\n");
    let files = [("p.rego", policy.as_str()), ("data.json", r#"{"listed": ["a"], "named": {}}"#)];
    let vetted = vet_files(&files).unwrap_or_else(|error| panic!("{body}: {error}"));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files);
    let server = Server::start(folder.path());
    let mut opa = server.connect().unwrap();
    let mut own = Evaluator::new(&vetted).unwrap();
    for mut input in [
        json!({}),
        json!({"x": 1}),
        json!({"x": "a", "about": {}, "d": true, "s": ["a"]}),
        json!({"x": "zz", "about": {"team": "red"}, "q": 1, "s": []}),
        json!({"x": null, "about": null, "d": false, "s": {"a": "b"}}),
    ] {
        // Every call names a tool.
        input["tool"] = json!("t");
        let theirs = opa.eval("sentinel/policy/allow", Some(&input));
        // An error is a deny.
        let Ok(found) = own.eval("data.sentinel.policy.allow", &input) else { continue };
        assert_eq!(found.result, theirs, "{body} on {input}");
    }
}

#[rstest]
#[case::walk_pair("[_, v] := walk(input); v == 1", "differs_from_opa", "walk(x, [path, value])")]
#[case::walk_value("x := walk(input); x[1] == 1", "differs_from_opa", "walk(x, [path, value])")]
#[case::walk_argument("count(walk(input)) > 1", "differs_from_opa", "walk(x, [path, value])")]
#[case::walk_member("some [p, v] in walk(input); v == 1", "differs_from_opa", "walk(x, [path")]
#[case::walk_negated("not walk(input, [[], {}])", "differs_from_opa", "walk(x, [path, value])")]
#[case::keyed("1, 1 in {1}", "differs_from_opa", "collection[key] == value")]
#[case::membership_value("x := 1 in input.x; x == false", "differs_from_opa", "object.get")]
#[case::membership_argument("f(1 in input.x)", "differs_from_opa", "object.get")]
#[case::schema("json.match_schema({}, {})[1] == []", "differs_from_opa", "[0]")]
#[case::yaml("yaml.is_valid(input.x)", "differs_from_opa", "JSON")]
#[case::only_prints("p\np if print(1)", "differs_from_opa", "add `true`")]
#[case::else_prints("p\np := 1 if false\nelse := 2 if { print(1) }", "differs_from_opa", "`true`")]
#[case::beside(
    "q.a[1]\nq[x] contains 1 if some x in [\"b\"]\nq.a contains 1 if true",
    "differs_from_opa",
    "different names"
)]
#[case::wildcard("not input.list[_] == 1", "differs_from_opa", "rule of its own")]
#[case::free("some i; not input.list[i] == 1", "differs_from_opa", "rule of its own")]
#[case::unified("not y = f(1); y = 2", "differs_from_opa", "==")]
fn what_opa_evaluates_otherwise_is_refused_with_a_way_around(
    #[case] body: &str,
    #[case] code: &str,
    #[case] way: &str,
) {
    let (body, rest) = body.split_once('\n').unwrap_or((body, ""));
    let rules = format!("{RULES}allow if {{ {body} }}\n{rest}");
    let error = vet(&rules).expect_err(body);
    let found = error.findings().into_iter().find(|found| found.lint.code() == code);
    let found = found.unwrap_or_else(|| panic!("{body}: {error}"));
    assert!(found.message.contains(way) && found.place.is_some(), "{found:?}");
}

#[rstest]
#[case(
    "import future.keywords.and\nallow if input.a and input.b",
    "`import future.keywords.and`",
    2
)]
#[case("import future.keywords.or\nallow if {\n  input.a or input.b\n}", "`or` between", 4)]
#[case("import future.keywords.maybe\nallow if input.a", "`import future.keywords.maybe`", 2)]
#[case("import future.keywords.not\nallow if not { input.a; input.b }", "`not { … }`", 3)]
#[case("import future.keywords.not\nallow if not { input.a }", "`not { … }`", 3)]
#[case("allow if $\"{input.a}\" == \"b\"", "`sprintf`", 2)]
#[case("allow if {\n  # $\"\n  input.a == $`{input.b}`\n}", "`sprintf`", 4)]
fn syntax_of_opa_that_is_not_known_is_refused_by_name(
    #[case] rules: &str,
    #[case] name: &str,
    #[case] line: u32,
) {
    let error = vet(rules).expect_err(rules);
    let found = error.findings();
    let found = found.iter().find(|found| found.lint.code() == "unsupported_syntax");
    let found = found.unwrap_or_else(|| panic!("{rules}: {error}"));
    let place = found.place.as_ref().unwrap();
    let named = found.message.contains(name) || name.contains("and`");
    assert!(named && (place.line == line || name.contains("and`")), "{found:?}");
}

/// With the import, OPA's `not` is that of the interpreter.
#[test]
fn with_the_import_of_not_an_undefined_argument_is_admitted() {
    let policy = "package sentinel.policy\n\nimport future.keywords.not\n\ndefault allow := false\n\n\
                  f(x) if x == 1\n\nallow if { input.tool; not f(input.x) }\n";
    let vetted = vet_files(&[("p.rego", policy)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("p.rego", policy)]);
    let server = Server::start(folder.path());
    let mut opa = server.connect().unwrap();
    let mut own = Evaluator::new(&vetted).unwrap();
    for input in [json!({"tool": "a"}), json!({"tool": "a", "x": 1}), json!({"x": 2}), json!({})] {
        let theirs = opa.eval("sentinel/policy/allow", Some(&input));
        let found = own.eval("data.sentinel.policy.allow", &input).unwrap().result;
        assert_eq!(found, theirs, "{input}");
    }
}

/// What an evaluation leaves in the interpreter that an error ended, the next one does not see.
#[test]
fn after_an_error_the_next_evaluation_begins_afresh() {
    let rules = "default allow := false\nseen contains json.marshal(v) if {\n\twalk(input.context, \
                 [_, v])\n\tendswith(\"a\", \"b\", _)\n}";
    let mut own = Evaluator::new(&vet(rules).unwrap()).unwrap();
    let mut seen = |context: Value| {
        let found = own.eval("data.sentinel.policy.seen", &json!({"context": context}));
        found.ok().map(|found| found.result.unwrap())
    };
    let expected = Some(json!(["1", "{\"tier\":1}"]));
    assert_eq!(seen(json!({"tier": 1})), expected);
    assert_eq!(seen(json!({"tier": 1e300})), None);
    assert_eq!(seen(json!({"tier": 1})), expected);
}

#[test]
fn lines_of_any_length_are_read() {
    let list: Vec<_> = (0..2000).map(|number| format!("\"{number}\"")).collect();
    let long = format!("allow if input.tool in [{}]", list.join(", "));
    let vetted = vet(&format!("default allow := false\n{long}")).unwrap();
    let mut own = Evaluator::new(&vetted).unwrap();
    let found = own.eval("data.sentinel.policy.allow", &json!({"tool": "1999"})).unwrap();
    assert_eq!(found.result, Some(json!(true)));
}

fn case(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases").join(name)
}

#[rstest]
#[case("negated-call-by-variable", "negated_call")]
#[case("negated-call-on-data", "negated_call")]
#[case("negated-builtin", "negated_call")]
#[case("print-only-body", "differs_from_opa")]
fn a_case_that_was_sound_is_refused(#[case] name: &str, #[case] code: &str) {
    let error = vetter().vet(&case(name), &SourceLimits::default()).expect_err(name);
    let codes: Vec<_> = error.findings().iter().map(|found| found.lint.code()).collect();
    assert!(codes.contains(&code), "{codes:?}");
}

#[test]
fn the_case_of_number_formats_has_the_text_of_opa() {
    let folder = case("number-formats");
    let vetted = vetter().vet(&folder, &SourceLimits::default()).unwrap();
    let input = std::fs::read_to_string(folder.join("input.json")).unwrap();
    let input: Value = serde_json::from_str(&input).unwrap();
    let mut own = Evaluator::new(&vetted).unwrap();
    let found = own.eval("data.sentinel.policy.deny_reason", &input).unwrap().result;
    assert_eq!(found, Some(json!(["costs  12.50 of 10.00"])));
}
