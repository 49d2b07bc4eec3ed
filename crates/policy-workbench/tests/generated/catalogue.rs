//! The builtins of OPA, with their types, as OPA lists them.

use sentinel_testkit::opa;
use serde_json::Value;

use crate::types::Type;

#[derive(Debug, Clone)]
pub(crate) struct Builtin {
    pub(crate) name: String,
    /// In the form of OPA's capabilities.
    pub(crate) args: Vec<Value>,
    pub(crate) result: Type,
    /// Of Rego v0 only.
    pub(crate) deprecated: bool,
}

/// Every builtin that is written as a call, and is not a part of the language's inside.
pub(crate) fn all() -> Vec<Builtin> {
    let output = opa::command().args(["capabilities", "--current"]).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let builtins = list["builtins"].as_array().unwrap();
    let calls = builtins.iter().filter(|builtin| {
        let name = builtin["name"].as_str().unwrap();
        // `minus` is `-`, and `print` has statements of its own.
        builtin.get("infix").is_none() && !name.starts_with("internal.") && name != "print"
    });
    calls.map(read).collect()
}

fn read(builtin: &Value) -> Builtin {
    let args = builtin["decl"]["args"].as_array().cloned().unwrap_or_default();
    Builtin {
        name: builtin["name"].as_str().unwrap().to_owned(),
        args,
        result: type_of(&builtin["decl"]["result"]),
        deprecated: builtin["deprecated"] == true,
    }
}

fn type_of(result: &Value) -> Type {
    let of = |value: &Value| value["type"].as_str().unwrap_or_default().to_owned();
    match (of(result).as_str(), of(&result["dynamic"]).as_str(), of(&result["of"]).as_str()) {
        ("number", ..) => Type::Number,
        ("string", ..) => Type::Text,
        ("boolean", ..) => Type::Flag,
        ("array", "string", _) => Type::Texts,
        ("array", "number", _) => Type::Numbers,
        ("set", _, "string") => Type::TextSet,
        _ => Type::Any,
    }
}

/// Arguments that mean something to a builtin, where any value of the type would mean nothing.
/// Those behind a `!` are of the type and still no good.
pub(crate) fn pool(name: &str, index: usize) -> &'static [&'static str] {
    let (family, _) = name.split_once('.').unwrap_or((name, ""));
    match family {
        "regex" | "re_match" => regex(name, index),
        "glob" => glob(name, index),
        "time" => time(name, index),
        "net" => net(name, index),
        "json" => json(name, index),
        "base64" | "base64url" | "hex" | "urlquery" | "yaml" => coded(name),
        "numbers" | "bits" | "units" | "rand" | "format_int" => numbers(name, index),
        "graph" => graph(index),
        _ => other(name, index),
    }
}

const PATTERNS: &[&str] = &[
    "\"^a\"",
    "`[a-z]+`",
    "`(a)(b)?`",
    "`^[A-Z]{2}$`",
    "`a|b`",
    "\"[0-9]+\"",
    "`\\d+`",
    "!`[`",
    "\"\"",
    "`\\bread\\b`",
    "`(?i)LEDGER`",
    "`^/srv/`",
];

fn regex(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("regex.globs_match", _) => &["`a.*`", "`.*b`", "`[a-c]+`", "\"abc\"", "`x.*`"],
        ("regex.template_match", 0) => {
            &["\"urn:{[a-z]+}:x\"", "\"a{.*}\"", "\"{[0-9]+}\"", "!\"{a\""]
        }
        ("regex.template_match", 1) => &["\"urn:ab:x\"", "\"abc\"", "\"10\"", "!\"urn::x\""],
        ("regex.template_match", 2) => &["\"{\""],
        ("regex.template_match", 3) => &["\"}\""],
        ("regex.find_n" | "regex.find_all_string_submatch_n", 2) => &["-1", "0", "1", "2"],
        ("regex.replace", 1) => PATTERNS,
        ("regex.replace", 2) => &["\"x\"", "\"$1-\"", "\"\"", "\"${1}y\""],
        ("regex.replace", _) | (_, 1) => {
            &["\"abab\"", "\"read it\"", "\"ledger\"", "\"\"", "\"a1b22\"", "\"/srv/a\""]
        }
        _ => PATTERNS,
    }
}

fn glob(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("glob.match", 0) => &[
            "\"*.example.com\"",
            "\"a.*\"",
            "\"**\"",
            "\"{a,b}*\"",
            "\"[a-c]?\"",
            "\"/srv/*\"",
            "\"/srv/**\"",
            "\"a*\"",
            "\"\"",
            "\"[!a]b\"",
            "\"{api,db}.**\"",
            "\"*\"",
        ],
        ("glob.match", 1) => &["[\".\"]", "[]", "null", "[\"/\"]", "[\".\", \"/\"]", "[\":\"]"],
        ("glob.match", _) => &[
            "\"api.example.com\"",
            "\"a.b\"",
            "\"ab\"",
            "\"/srv/a\"",
            "\"/srv/a/b\"",
            "\"\"",
            "\"bb\"",
            "\"a.b.c\"",
        ],
        _ => &["\"*.a\"", "\"[a]{b}?\"", "\"plain\""],
    }
}

const MOMENTS: &[&str] = &[
    "0",
    "1700000000000000000",
    "[1700000000000000000, \"UTC\"]",
    "-1000000000",
    "[1700000000123456789, \"America/New_York\"]",
    "[1719792000000000000, \"Europe/Berlin\"]",
    "[0, \"\"]",
    "![1, \"Nowhere/X\"]",
    "951782400000000000",
];

fn time(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("time.clock" | "time.date" | "time.weekday" | "time.diff", _) => MOMENTS,
        ("time.format", _) => &[
            "0",
            "1700000000000000000",
            "[1700000000000000000, \"UTC\"]",
            "[1700000000123456789, \"America/New_York\", \"2006-01-02\"]",
            "[1700000000123456789, \"UTC\", \"RFC1123\"]",
            "[1700000000123456789, \"UTC\", \"15:04:05.000 Mon Jan _2\"]",
        ],
        ("time.add_date", 0) => &["0", "1700000000000000000", "951782400000000000"],
        ("time.add_date", _) => &["0", "1", "-1", "13", "31"],
        ("time.parse_duration_ns", _) => {
            &["\"1h\"", "\"90s\"", "\"1.5h30m\"", "\"-2ms\"", "!\"1d\"", "\"\"", "\"100us\""]
        }
        ("time.parse_ns", 0) => &["\"2006-01-02\"", "\"2006-01-02T15:04:05Z07:00\"", "\"RFC822\""],
        ("time.parse_ns", _) => &["\"2024-02-29\"", "\"2026-11-22T10:20:30Z\"", "!\"x\""],
        ("time.parse_rfc3339_ns", _) => &[
            "\"2026-11-22T10:20:30Z\"",
            "\"2024-02-29T00:00:00+01:00\"",
            "input.time",
            "!\"2026-02-30T00:00:00Z\"",
            "\"1969-12-31T23:59:59.5Z\"",
            "!\"2026-11-22\"",
        ],
        _ => &[],
    }
}

fn net(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("net.cidr_contains_matches", 0) => {
            &["[\"10.0.0.0/8\", \"192.168.0.0/16\"]", "\"10.0.0.0/8\"", "{\"a\": \"10.0.0.0/8\"}"]
        }
        ("net.cidr_contains_matches", _) => &["[\"10.1.0.0/16\", \"1.1.1.1\"]", "\"10.2.3.4\""],
        ("net.cidr_merge", _) => &["[\"10.0.0.0/9\", \"10.128.0.0/9\"]"],
        ("net.cidr_expand", _) => &["\"10.0.0.0/30\"", "\"10.0.0.1/32\""],
        ("net.cidr_contains" | "net.cidr_intersects", 0) => {
            &["\"10.0.0.0/8\"", "\"192.168.1.0/24\"", "\"2001:db8::/32\"", "!\"10.0.0.0/33\""]
        }
        _ => &[
            "\"10.1.2.3\"",
            "\"10.0.0.0/24\"",
            "\"192.168.1.7\"",
            "\"2001:db8::1\"",
            "!\"x\"",
            "\"10.0.0.0/8\"",
            "!\"1.2.3\"",
            "\"10.0.0.5/24\"",
        ],
    }
}

const SCHEMAS: &[&str] = &[
    "{\"type\": \"object\", \"required\": [\"a\"]}",
    "{\"type\": \"string\"}",
    "{}",
    "{\"properties\": {\"a\": {\"type\": \"integer\"}}}",
    "!{\"type\": \"strange\"}",
    "{\"enum\": [\"a\", 1]}",
    "\"{\\\"type\\\": \\\"number\\\"}\"",
];

fn json(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("json.filter" | "json.remove", 1) => {
            &["[\"x/n\"]", "{\"a\"}", "[[\"x\", \"names\"]]", "[\"a/0\", \"d\"]", "[\"\"]", "[]"]
        }
        ("json.patch", 1) => &[
            "[{\"op\": \"add\", \"path\": \"/z\", \"value\": 1}]",
            "[{\"op\": \"remove\", \"path\": \"/a\"}]",
            "[{\"op\": \"replace\", \"path\": \"/a\", \"value\": {\"b\": 2}}]",
            "[{\"op\": \"test\", \"path\": \"/a\", \"value\": 1}]",
            "[{\"op\": \"add\", \"path\": \"x/q\", \"value\": [1]}]",
            "[{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/c\"}]",
            "[{\"op\": \"move\", \"from\": \"/a\", \"path\": \"/c\"}]",
            "[]",
        ],
        ("json.patch", _) => {
            &["{\"a\": 1, \"x\": {\"n\": 2}}", "input.context.tree", "§.tree", "{}", "[1, 2]"]
        }
        ("json.match_schema", 0) => {
            &["{\"a\": 1}", "{\"a\": \"b\"}", "{\"a\": input.context.any}", "{}"]
        }
        ("json.match_schema", _) => &SCHEMAS[..SCHEMAS.len() - 1],
        ("json.verify_schema", _) => SCHEMAS,
        ("json.marshal_with_options", 1) => &[
            "{\"pretty\": true}",
            "{\"indent\": \"  \"}",
            "{\"prefix\": \">\", \"indent\": \" \"}",
            "{\"pretty\": false}",
            "{}",
        ],
        ("json.unmarshal" | "json.is_valid", _) => &[
            "\"{\\\"a\\\": [1, 2.5, null]}\"",
            "\"1\"",
            "\"x\"",
            "\"\"",
            "`{\"b\": \"c\"}`",
            "!\"[1,]\"",
            "\"1e2\"",
            "`{\"a\": 1, \"a\": 2}`",
        ],
        _ => &[],
    }
}

fn coded(name: &str) -> &'static [&'static str] {
    match name {
        "base64.decode" | "base64.is_valid" => {
            &["\"YWJj\"", "\"YQ==\"", "\"YQ\"", "\"\"", "!\"?\"", "!\"YWJj \"", "\"_-8=\""]
        }
        "base64url.decode" => &["\"YWJj\"", "\"YQ==\"", "\"YQ\"", "\"_-8\"", "!\"+/8=\""],
        "hex.decode" => &["\"6162\"", "\"6A\"", "\"6\"", "!\"zz\"", "\"\""],
        "urlquery.decode" => &["\"a%20b\"", "\"a+b\"", "!\"%zz\"", "\"%C3%84\""],
        "urlquery.decode_object" => {
            &["\"a=1&b=2&a=3\"", "\"a\"", "\"\"", "\"a=%20+x\"", "!\"%zz\""]
        }
        "urlquery.encode_object" => {
            &["{\"a\": \"1\", \"b\": [\"x\", \"y\"]}", "{}", "{\"ä\": {\"c d\"}}"]
        }
        "yaml.unmarshal" | "yaml.is_valid" => &[
            "\"a: 1\\nb: [x, y]\"",
            "\"- 1\\n- yes\"",
            "\"plain\"",
            "\"\"",
            "!\"a: b: c\"",
            "\"a: 1.50\"",
            "\"{\\\"a\\\": null}\"",
        ],
        "yaml.marshal" => &["{\"a\": [1, \"b\"]}", "[1, 2]", "\"x\"", "{\"a\": {}}", "1.5", "null"],
        _ => &[],
    }
}

fn numbers(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("numbers.range", _) => &["1", "3", "-2", "0"],
        ("numbers.range_step", 2) => &["1", "2"],
        ("numbers.range_step", _) => &["1", "7", "-2"],
        ("bits.lsh" | "bits.rsh", 1) => &["0", "1", "3"],
        (name, _) if name.starts_with("bits.") => &["0", "1", "5", "12", "255", "!-4"],
        ("units.parse", _) => &["\"10K\"", "\"1.5Mi\"", "\"7\"", "\"100m\"", "!\"x\"", "\"2Gi\""],
        ("units.parse_bytes", _) => {
            &["\"10KB\"", "\"1.5MiB\"", "\"7\"", "\"2gb\"", "!\"x\"", "\"1k\""]
        }
        ("format_int", 0) => &["10", "255", "-7", "0", "!3.7"],
        ("format_int", _) => &["2", "8", "10", "16"],
        ("rand.intn", 0) => &["\"seed\""],
        ("rand.intn", _) => &["10", "1"],
        _ => &[],
    }
}

fn graph(index: usize) -> &'static [&'static str] {
    if index == 0 {
        &[
            "{\"a\": [\"b\"], \"b\": [\"c\", \"a\"], \"c\": []}",
            "{\"a\": {\"b\", \"x\"}}",
            "{}",
            "§.graph",
            "{\"a\": [\"a\"]}",
        ]
    } else {
        &["[\"a\"]", "{\"a\", \"b\"}", "[]", "{input.context.s}", "[\"zz\"]"]
    }
}

fn other(name: &str, index: usize) -> &'static [&'static str] {
    match (name, index) {
        ("semver.compare" | "semver.is_valid", _) => {
            &["\"1.2.3\"", "\"1.2.3-rc.1\"", "\"1.10.0\"", "!\"v1.0.0\"", "!\"1.2\"", "\"1.2.3+b\""]
        }
        ("sprintf", 0) => &["\"%v\"", "\"%s\"", "\"a %d b\"", "\"%v-%v\"", "\"%q\"", "\"100%%\""],
        ("sprintf", _) => &["[\"a\"]", "[1]", "[1, \"b\"]", "[input.usage]", "[[1, \"x\"]]", "[]"],
        ("substring", 1 | 2) => &["0", "1", "2", "-1", "10"],
        ("split" | "concat" | "strings.split_n", 0) if name == "concat" => &["\",\"", "\"\""],
        ("split" | "strings.split_n", 1) => &["\",\"", "\".\"", "\"\"", "\"b\""],
        ("strings.split_n", 2) => &["-1", "0", "1", "2"],
        ("strings.replace_n", 0) => &["{\"a\": \"x\", \"b\": \"y\"}", "{}", "{\"ab\": \"c\"}"],
        ("strings.render_template", 0) => &["\"{{.a}} x\"", "\"plain\""],
        ("strings.render_template", _) => &["{\"a\": 1}"],
        ("array.slice", 1 | 2) => &["0", "1", "2", "-1", "9"],
        ("to_number", _) => {
            &["\"10\"", "\"1.5\"", "!\"x\"", "true", "null", "7", "\"\"", "!\" 1\""]
        }
        ("uuid.parse", _) => &[
            "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"",
            "\"00000000-0000-4000-8000-000000000000\"",
        ],
        ("uuid.rfc4122", _) => &["\"a\"", "\"b\""],
        ("uri.parse" | "uri.is_valid", _) => {
            &["\"https://a.example/x?y=1#z\"", "!\"%\"", "\"a b\""]
        }
        ("walk", _) => &["§.tree", "input.context.tree", "{\"a\": [1, {\"b\": 2}]}", "[1, [2]]"],
        ("cast_array" | "cast_set", _) => &["[1, 2]", "{1, 2}"],
        ("cast_boolean", _) => &["true"],
        ("cast_null", _) => &["null"],
        ("cast_object", _) => &["{\"a\": 1}"],
        ("cast_string", _) => &["\"a\""],
        ("trace", _) => &["\"note\""],
        _ => &[],
    }
}
