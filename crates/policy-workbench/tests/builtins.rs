//! Every builtin function that vetting admits, on a grid of arguments of all types, beside a real
//! OPA: what has a value here, or is undefined, is so in OPA. An error here is a deny.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "builtins/both.rs"]
mod both;
#[path = "builtins/formats.rs"]
mod formats;
#[path = "builtins/patterns.rs"]
mod patterns;
mod support;

use both::{Both, fewer, values};

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
