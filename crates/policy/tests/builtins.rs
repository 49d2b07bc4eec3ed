//! Every builtin function that vetting admits, on a grid of arguments of all types, beside a real
//! OPA: what has a value here, or is undefined, is so in OPA. An error here is a deny.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

use std::collections::BTreeMap;

use sentinel_policy::Evaluator;
use sentinel_testkit::opa::{Connection, Server};
use serde_json::{Value, json};
use support::{vet_files, write};

/// Functions of one argument.
const ONE: &[&str] = &[
    "abs",
    "array.reverse",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "base64url.decode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "bits.negate",
    "ceil",
    "count",
    "floor",
    "glob.quote_meta",
    "hex.decode",
    "hex.encode",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.is_valid",
    "json.marshal",
    "json.unmarshal",
    "lower",
    "max",
    "min",
    "net.cidr_is_valid",
    "object.keys",
    "object.union_n",
    "product",
    "regex.is_valid",
    "round",
    "semver.is_valid",
    "sort",
    "strings.reverse",
    "sum",
    "time.clock",
    "time.date",
    "time.parse_duration_ns",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trim_space",
    "type_name",
    "union",
    "upper",
    "urlquery.decode",
    "urlquery.decode_object",
    "urlquery.encode",
    "urlquery.encode_object",
];

/// Functions of two arguments.
const TWO: &[&str] = &[
    "array.concat",
    "bits.and",
    "bits.or",
    "bits.rsh",
    "bits.xor",
    "concat",
    "contains",
    "endswith",
    "format_int",
    "graph.reachable",
    "indexof",
    "indexof_n",
    "json.filter",
    "json.patch",
    "json.remove",
    "net.cidr_contains",
    "object.filter",
    "object.remove",
    "object.subset",
    "object.union",
    "regex.match",
    "regex.split",
    "semver.compare",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.count",
    "strings.replace_n",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_suffix",
];

/// Functions of three arguments.
const THREE: &[&str] = &[
    "array.slice",
    "glob.match",
    "object.get",
    "regex.find_n",
    "regex.find_all_string_submatch_n",
    "regex.replace",
    "replace",
    "substring",
];

/// Values of each type: empty, usual, negative, large, with characters of several bytes.
fn values() -> Vec<Value> {
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
fn fewer() -> Vec<Value> {
    let keep = [0, 2, 3, 4, 5, 8, 9, 10, 11, 20, 23, 25, 29, 30, 32];
    values().into_iter().enumerate().filter(|(at, _)| keep.contains(at)).map(|(_, v)| v).collect()
}

struct Both {
    own: Evaluator,
    opa: Connection,
    /// Kept running.
    _server: Server,
    seen: BTreeMap<String, [usize; 3]>,
    different: Vec<String>,
}

impl Both {
    fn start(functions: &[(&str, usize)]) -> Self {
        Self::stating(functions, &values())
    }

    /// Where vetting demands that the policy states an argument, it states each of these.
    fn stating(functions: &[(&str, usize)], literals: &[Value]) -> Self {
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

    fn ask(&mut self, name: &str, args: &[&Value]) {
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

    fn end(self) {
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

/// Patterns of globs, and what they are matched with.
const GLOBS: &[&str] = &[
    "",
    "*",
    "**",
    "a*",
    "*a",
    "a*c",
    "a**c",
    "?",
    "a?c",
    "[abc]",
    "[!abc]",
    "[a-c]",
    "[!a-c]x",
    "{a,b}",
    "{,a}b",
    "{a,}",
    "{a,b*}c",
    "{a,{b,c}}d",
    "a{b",
    "a}",
    "[",
    "[]",
    "[a",
    "a\\*",
    "\\",
    "*.com",
    "**.com",
    "*.*.com",
    "a.{b,c}.**",
    "é?",
    "[é-ü]",
    "{}",
    "{a}",
    "[a-]",
    "[-a]",
    "[!]",
    "***",
    "a,b",
    "*a*b*",
    "api.*.com",
    "a/*/c",
    "a/**",
];
const GLOBBED: &[&str] = &[
    "",
    "a",
    "b",
    "ab",
    "abc",
    "ac",
    "axc",
    "a.c",
    "a.b.c",
    "x.com",
    "a.x.com",
    ".com",
    "é",
    "éx",
    "ax",
    "dx",
    "bc",
    "bxc",
    "cd",
    "a*",
    "a{b",
    "a}",
    "-",
    "a,b",
    "xaxb",
    "api.x.com",
    "api.x.y.com",
    "a/b/c",
    "a/b",
    "a/",
    "ü",
    "\\",
];

#[test]
fn globs_match_as_in_opa() {
    let mut both = Both::start(&[("glob.match", 3)]);
    let delimiters = [json!(null), json!([]), json!(["."]), json!(["/"]), json!([".", "/"])];
    for pattern in GLOBS {
        for delimiters in &delimiters {
            for text in GLOBBED {
                both.ask("glob.match", &[&json!(pattern), delimiters, &json!(text)]);
            }
        }
    }
    both.end();
}

/// Regular expressions, some of which Rust and Go read in different ways, or only one of them.
const EXPRESSIONS: &[&str] = &[
    "",
    "a",
    "^a$",
    "a|b",
    "(a)(b)?",
    "a*",
    "a+?",
    "a{2}",
    "a{2,}",
    "a{,2}",
    "a{2,3}?",
    "{",
    "a{",
    "a{b}",
    "\\d",
    "\\D+",
    "^\\d+$",
    "^\\w+$",
    "\\W",
    "^\\s$",
    "\\S",
    "\\bfoo\\b",
    "[\\d]",
    "[^\\d]+",
    "[\\w-]+",
    "[a-z&&b]",
    "[a--b]",
    "[[a]",
    "[]a]",
    "[^]a]",
    "[[:alpha:]]+",
    "[[:^digit:]]",
    "(?i)straSSe",
    "(?i)[k]",
    "(?i)s",
    "(?i:A)b",
    "(?s).",
    ".",
    "(?m)^b$",
    "\\.",
    "\\-",
    "\\_",
    "\\<",
    "\\x41",
    "\\x{1F600}",
    "\\pL+",
    "\\p{Lu}",
    "\\PL",
    "(?P<n>a)(?<m>b)",
    "(?=a)",
    "(?!a)",
    "\\1",
    "\\Z",
    "\\z",
    "\\A",
    "a**",
    "a*+",
    "*",
    "+a",
    "(",
    ")",
    "[",
    "]",
    "}",
    "[z-a]",
    "\\q",
    "\\u0041",
    "(?x)a b",
    "a b",
    "#",
    "~",
    "&&",
    "[~~]",
    "[#]",
    "é+",
    "[é-ü]",
    "日本",
    "a$b",
    "^^a",
    "$",
    "^$",
    "(|a)+",
    "(a|ab)(c|bcd)",
    "x*",
    "[a-\\d]",
    "[\\d-z]",
    "\\t",
    "[\\n]",
    "[.]",
    "[$^]",
    "a{1001}",
    "(a{99}){99}",
    "a{0}",
    "a{01}",
    "(?:)",
    "(?)",
    "(?i)",
    "(?U)a+",
    "(?-i)A",
    "\\",
    "\\0",
];
const SEARCHED: &[&str] = &[
    "", "a", "b", "aa", "aaa", "ab", "abcd", "A", "1", "12", "٣", "_", "é", "üé", "ſ", "K", "k",
    " ", "\n", "a\nb", "foo", "a foo b", "foo_", "STRASSE", "日本", "a{b}", "{", "-", "&", "[",
    "]", ".", "ǅ", "😀", "a b", "#", "~", "\t", "xaxbx", "\u{a0}", "\u{b}",
];

#[test]
fn regular_expressions_are_those_of_opa() {
    let functions = [
        ("regex.match", 2),
        ("regex.split", 2),
        ("regex.is_valid", 1),
        ("regex.find_n", 3),
        ("regex.find_all_string_submatch_n", 3),
        ("regex.replace", 3),
    ];
    let mut both = Both::stating(&functions, &[json!("<$1>$$$x")]);
    for expression in EXPRESSIONS {
        let pattern = json!(expression);
        both.ask("regex.is_valid", &[&pattern]);
        for text in SEARCHED {
            let text = json!(text);
            both.ask("regex.match", &[&pattern, &text]);
            both.ask("regex.split", &[&pattern, &text]);
            both.ask("regex.find_n", &[&pattern, &text, &json!(-1)]);
            both.ask("regex.find_all_string_submatch_n", &[&pattern, &text, &json!(2)]);
            both.ask("regex.replace", &[&text, &pattern, &json!("<$1>$$$x")]);
        }
    }
    both.end();
}

#[test]
fn templates_of_expressions_match_as_in_opa() {
    let mut both = Both::start(&[("regex.template_match", 4)]);
    for template in ["", "a", "urn:<[a-z]+>", "<\\d+>:x", "<a", "a>", "<<a>>", "<a|b>c<d>", "<[>"] {
        for text in ["", "a", "urn:abc", "urn:", "1:x", "٣:x", "acd", "bcd", "<a>"] {
            for (open, close) in [("<", ">"), ("{", "}"), ("", ">"), ("<<", ">")] {
                let args = [json!(template), json!(text), json!(open), json!(close)];
                both.ask("regex.template_match", &args.iter().collect::<Vec<_>>());
            }
        }
    }
    both.end();
}

const VERBS: &[char] = &[
    'v', 's', 'd', 'x', 'X', 'o', 'O', 'b', 'c', 'q', 'U', 'e', 'E', 'f', 'F', 'g', 'G', 't', 'T',
    'p', 'z', '%', '!', 'é',
];
const FLAGS: &[&str] = &[
    "", "5", "-8", "08", "+", " ", "#", ".2", "6.2", "-6.2", "+.1", "08.3", ".0", "0", "+08", "5.3",
];

#[test]
fn formats_of_sprintf_are_those_of_opa() {
    let usual = ["%d %d", "%", "%5", "%d", "", "%[1]d", "%*d", "%.", "%-", "%.*f"];
    let of_verb = |verb| FLAGS.iter().map(move |flags| format!("<%{flags}{verb}>"));
    let formats: Vec<Value> = VERBS.iter().flat_map(of_verb).map(Value::from).collect();
    let all: Vec<Value> = usual.map(Value::from).into_iter().chain(formats.clone()).collect();
    let mut both = Both::stating(&[("sprintf", 2)], &all);
    let mut arguments = values();
    arguments.extend([json!(65), json!(-255), json!(1_234_567.5), json!(1e30), json!(1e-7)]);
    arguments.extend([json!(0.1), json!(-0.00012345), json!("a\"b\\\n\u{1}"), json!(9.99)]);
    for format in &formats {
        for argument in &arguments {
            both.ask("sprintf", &[format, &json!([argument])]);
        }
    }
    for format in usual {
        for list in [json!([]), json!([1]), json!([1, "a"]), json!([1.5, null, true])] {
            both.ask("sprintf", &[&json!(format), &list]);
        }
    }
    both.end();
}

#[test]
fn versions_are_compared_as_in_opa() {
    let mut both = Both::start(&[("semver.compare", 2), ("semver.is_valid", 1)]);
    let versions = [
        "1.2.3",
        "v1.2.3",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.2.3-a",
        "1.2.3-a.1",
        "1.2.3-a.2",
        "1.2.3-a.b",
        "1.2.3-1",
        "1.2.3-01",
        "1.2.3+b",
        "1.2.3-a+b",
        "1.2.3-",
        "1.2.3+",
        "",
        "a",
        "1.2.3-a..b",
        "1.10.0",
        "9223372036854775808.0.0",
        "1.2.3-a-b",
        "V1.2.3",
        " 1.2.3",
        "1.2.3+a.b-c",
        "-1.2.3",
    ];
    for a in &versions {
        both.ask("semver.is_valid", &[&json!(a)]);
        for b in &versions {
            both.ask("semver.compare", &[&json!(a), &json!(b)]);
        }
    }
    both.end();
}

#[test]
fn json_is_laid_out_as_in_opa() {
    let options = [
        json!({}),
        json!({"indent": "  "}),
        json!({"prefix": "> "}),
        json!({"pretty": true}),
        json!({"pretty": false, "indent": " "}),
        json!({"prefix": "", "indent": ""}),
        json!({"prefix": "é", "indent": "\"<", "pretty": true}),
    ];
    let mut both = Both::stating(&[("json.marshal_with_options", 2)], &options);
    let mut texts = values();
    texts.push(
        json!({"a": [], "b": {}, "c": [[], [{}], {"d": "[{:,\\\"]}<&\u{2028}"}], "e": [null]}),
    );
    for text in &texts {
        for options in &options {
            both.ask("json.marshal_with_options", &[text, options]);
        }
    }
    both.end();
}

#[test]
fn uuids_are_read_as_in_opa() {
    let mut both = Both::start(&[("uuid.parse", 1)]);
    let usual = "000003e8-48b9-21ee-b200-325096b39f47";
    let mut texts: Vec<String> = ["", "{", "urn:uuid:", "URN:UuId:", "urn:uid::", " "]
        .map(|prefix| format!("{prefix}{usual}"))
        .to_vec();
    texts.extend([format!("{{{usual}}}"), format!("({usual}]"), format!("{usual}0")]);
    texts.extend([usual.replace('-', ""), usual.replace('-', "_"), usual.to_uppercase()]);
    texts.extend([usual.replace('f', "g"), usual.replace("000003e8", "ÿÿÿÿ"), String::new()]);
    for version in ["0", "1", "2", "4", "6", "7", "f"] {
        for (variant, node) in
            [("0", "00"), ("7", "01"), ("8", "02"), ("b", "03"), ("d", "ff"), ("e", "a1")]
        {
            for time in ["00000000-0000", "ffffffff-ffff", "12345678-9abc"] {
                let rest = format!("{version}fff-{variant}2{node}-{node}0102030405");
                texts.push(format!("{time}-{rest}"));
            }
        }
    }
    for text in &texts {
        both.ask("uuid.parse", &[&json!(text)]);
    }
    both.end();
}

#[test]
fn texts_are_numbers_where_they_are_in_opa() {
    // What OPA takes and cannot write, such as `1.` and `01`, is an error here.
    let mut both = Both::start(&[("to_number", 1)]);
    let texts = [
        " 1",
        "1 ",
        "\n1",
        "1e3",
        "1E+3",
        "1e-3",
        "1e",
        "1e+",
        "-0",
        "0",
        "0.0",
        "-0.0",
        "-0e1",
        "0x10",
        "Infinity",
        "NaN",
        "inf",
        "-",
        "--1",
        "1e400",
        "-1.50",
        "1.0",
        "0b1",
        "１",
        "1,5",
        "[1]",
        "\"1\"",
        "true",
        "null",
        "9007199254740993",
        "12345678901234567890123",
    ];
    for text in texts {
        both.ask("to_number", &[&json!(text)]);
    }
    both.end();
}

#[test]
fn builtins_of_one_argument_have_the_values_of_opa() {
    let functions: Vec<_> = ONE.iter().map(|name| (*name, 1)).collect();
    let mut both = Both::start(&functions);
    let values = values();
    for name in ONE {
        for value in &values {
            both.ask(name, &[value]);
        }
    }
    both.end();
}

#[test]
fn builtins_of_two_arguments_have_the_values_of_opa() {
    let functions: Vec<_> = TWO.iter().map(|name| (*name, 2)).collect();
    let mut both = Both::start(&functions);
    let values = values();
    for name in TWO {
        for first in &values {
            for second in &values {
                both.ask(name, &[first, second]);
            }
        }
    }
    both.end();
}

#[test]
fn builtins_of_three_arguments_have_the_values_of_opa() {
    let functions: Vec<_> = THREE.iter().map(|name| (*name, 3)).collect();
    let mut both = Both::start(&functions);
    let values = fewer();
    for name in THREE {
        for first in &values {
            for second in &values {
                for third in &values {
                    both.ask(name, &[first, second, third]);
                }
            }
        }
    }
    both.end();
}
