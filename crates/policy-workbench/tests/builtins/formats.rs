//! Functions that read or write texts of a format.

use serde_json::{Value, json};

use crate::both::{Both, values};

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
