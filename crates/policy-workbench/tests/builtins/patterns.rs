//! Globs and regular expressions.

use serde_json::json;

use crate::both::Both;

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
