//! Calls of builtins, evaluated here and by a real OPA.

use std::collections::BTreeMap;

use sentinel_policy_workbench::Evaluator;
use sentinel_testkit::opa::{Connection, Server};
use serde_json::{Value, json};

use crate::support::{vet_files, write};

/// Values of each type: empty, usual, negative, large, with characters of several bytes.
pub(crate) fn values() -> Vec<Value> {
    let set = |items: Value| json!({"$set": items});
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(2),
        json!(-3),
        json!(2.5),
        json!(-0.1),
        json!(12_345_678_901_234_567_u64),
        json!(""),
        json!("a"),
        json!("aXbXa"),
        json!("ǅ Straße ſ ΑΣ é日本"),
        json!("12"),
        json!("1.2.3"),
        json!("10.0.0.0/8"),
        json!("1h30m"),
        json!("2026-02-03T04:05:06Z"),
        json!("YWJj"),
        json!("61"),
        json!("a%20b=c&d"),
        json!("[aX]+"),
        json!("{\"a\": [1, 2.0]}"),
        json!("%v and %d"),
        json!([]),
        json!([1, "a", null]),
        json!(["a", "aX", "é"]),
        json!([3, 1, 2.5]),
        json!([{"a": 1}, {"a": {"b": 2}}]),
        json!({}),
        json!({"a": "b", "b": "a", "aX": ""}),
        json!({"a": {"b": [1, 2]}, "c": null}),
        set(json!([])),
        set(json!(["a", "X"])),
        set(json!([1, 2, 3])),
    ]
}

/// What three arguments are tried with.
pub(crate) fn fewer() -> Vec<Value> {
    let keep = [0, 2, 3, 4, 5, 8, 9, 10, 11, 20, 23, 25, 29, 30, 32];
    values().into_iter().enumerate().filter(|(at, _)| keep.contains(at)).map(|(_, v)| v).collect()
}

/// The functions here, and in a real OPA.
pub(crate) struct Both {
    own: Evaluator,
    opa: Connection,
    /// Kept running.
    _server: Server,
    seen: BTreeMap<String, [usize; 3]>,
    different: Vec<String>,
}

impl Both {
    pub(crate) fn start(functions: &[(&str, usize)]) -> Self {
        Self::stating(functions, &values())
    }

    /// Where vetting demands that the policy states an argument, it states each of these.
    pub(crate) fn stating(functions: &[(&str, usize)], literals: &[Value]) -> Self {
        let mut text =
            "package grid\n\narg(x) := {m | some m in x[\"$set\"]} if is_array(x[\"$set\"])\n\n\
                        arg(x) := x if not has_set(x)\n\nhas_set(x) if is_array(x[\"$set\"])\n"
                .to_owned();
        for (name, arguments) in functions {
            let mut names: Vec<_> =
                (0..*arguments).map(|index| format!("arg(input.args[{index}])")).collect();
            let Some(place) = stated(name) else {
                text += &format!("\n{} := {name}({})\n", rule(name), names.join(", "));
                continue;
            };
            for literal in literals.iter().filter(|literal| may_state(name, literal)) {
                names[place] = literal.to_string();
                let call = format!("{name}({})", names.join(", "));
                let condition = format!("input.args[{place}] == {literal}");
                text += &format!("\n{} := {call} if {condition}\n", rule(name));
            }
        }
        let own = "package sentinel.policy\n\ndefault allow := false\n";
        let files = [("grid.rego", text.as_str()), ("own.rego", own)];
        let vetted = vet_files(&files).unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files);
        let server = Server::start(folder.path());
        let opa = server.connect().unwrap();
        let own = Evaluator::new(&vetted).unwrap();
        Self { own, opa, _server: server, seen: BTreeMap::new(), different: Vec::new() }
    }

    /// Evaluates a function on arguments in both, and notes whether the results differ.
    pub(crate) fn ask(&mut self, name: &str, args: &[&Value]) {
        let input = json!({"args": args});
        let theirs = self.opa.eval(&format!("grid/{}", rule(name)), Some(&input));
        let own = self.own.eval(&format!("data.grid.{}", rule(name)), &input);
        let seen = self.seen.entry(name.to_owned()).or_default();
        let Ok(own) = own else {
            seen[0] += 1;
            return;
        };
        seen[if own.result.is_some() { 2 } else { 1 }] += 1;
        let parsed = |value: Option<Value>| {
            value.map(|value| regorus::Value::from_json_str(&value.to_string()).unwrap())
        };
        let (own, theirs) = (parsed(own.result), parsed(theirs));
        if own != theirs {
            let shown = |value: Option<regorus::Value>| {
                value.map_or_else(|| "undefined".to_owned(), |value| value.to_string())
            };
            let args = json!(args);
            let (own, theirs) = (shown(own), shown(theirs));
            self.different.push(format!("{name}{args}: {own} where OPA has {theirs}"));
        }
    }

    /// Fails when a result differed, or a function never had a value.
    pub(crate) fn end(self) {
        let mut never = Vec::new();
        for (name, [errors, undefined, values]) in &self.seen {
            println!("{name}: {values} values, {undefined} undefined, {errors} errors");
            if *values == 0 {
                never.push(name.as_str());
            }
        }
        let different = self.different.join("\n");
        assert!(different.is_empty(), "{} differ:\n{different}", self.different.len());
        assert!(never.is_empty(), "these never have a value: {never:?}");
    }
}

/// The argument that has to be a literal.
fn stated(name: &str) -> Option<usize> {
    match name {
        "concat" | "sprintf" | "strings.replace_n" => Some(0),
        "json.marshal_with_options" | "json.patch" => Some(1),
        "regex.replace" | "replace" => Some(2),
        _ => None,
    }
}

/// Whether vetting takes a literal there.
fn may_state(name: &str, literal: &Value) -> bool {
    let object = literal.as_object().filter(|object| !object.contains_key("$set"));
    match name {
        "strings.replace_n" => object.is_some_and(|object| object.values().all(Value::is_string)),
        "json.marshal_with_options" => object.is_some(),
        "json.patch" => literal.as_array().is_some_and(|list| list.iter().all(Value::is_object)),
        _ => literal.is_string(),
    }
}

fn rule(name: &str) -> String {
    format!("r_{}", name.replace('.', "_"))
}
