//! Builtin functions that the interpreter gives other results for than OPA, replaced by functions
//! of our own under the same names.
//!
//! Each is bounded in time and memory by the length of its arguments. An argument of a wrong type
//! makes the call undefined, as in OPA; what a function cannot do as OPA does is an error, and so a
//! deny.

mod arithmetic;
mod calendar;
mod decoded;
mod encoding;
mod function;
mod glob;
mod go_text;
mod number;
mod paths;
mod regex;
mod semver;
mod sprintf;
mod strings;
mod subset;
mod text;
mod uuid;

use regorus::utils::limits::PolicyLengthConfig;
use regorus::{Engine, Value};

use self::function::Outcome;
use super::error::InterpreterError;

/// Lines are as long as a file may be.
const MAX_COLUMNS: std::num::NonZeroU32 = std::num::NonZeroU32::new(1024 * 1024).unwrap();

type Function = fn(&[Value]) -> Outcome;

/// Name, number of arguments, function.
const FUNCTIONS: &[(&str, u8, Function)] = &[
    ("base64.decode", 1, decoded::base64),
    ("base64url.decode", 1, decoded::base64url),
    ("bits.rsh", 2, arithmetic::shift_right),
    ("ceil", 1, arithmetic::ceil),
    ("floor", 1, arithmetic::floor),
    ("format_int", 2, arithmetic::format_int),
    ("glob.match", 3, glob::matches),
    ("glob.quote_meta", 1, glob::quote_meta),
    ("hex.decode", 1, decoded::hex),
    ("indexof", 2, strings::indexof),
    ("indexof_n", 2, strings::indexof_n),
    ("json.filter", 2, paths::filter),
    ("json.is_valid", 1, text::json_is_valid),
    ("json.marshal", 1, encoding::marshal),
    ("json.marshal_with_options", 2, encoding::marshal_with_options),
    ("json.remove", 2, paths::remove),
    ("lower", 1, strings::lower),
    ("object.subset", 2, subset::subset),
    ("regex.find_all_string_submatch_n", 3, regex::find_all_string_submatch_n),
    ("regex.find_n", 3, regex::find_n),
    ("regex.is_valid", 1, regex::is_valid),
    ("regex.match", 2, regex::matches),
    ("regex.replace", 3, regex::replace),
    ("regex.split", 2, regex::split),
    ("regex.template_match", 4, regex::template_match),
    ("replace", 3, strings::replace),
    ("semver.compare", 2, semver::compare),
    ("semver.is_valid", 1, semver::is_valid),
    ("sprintf", 2, sprintf::sprintf),
    ("strings.count", 2, text::count),
    ("strings.replace_n", 2, text::replace_n),
    ("substring", 3, strings::substring),
    ("time.add_date", 4, calendar::add_date),
    ("upper", 1, strings::upper),
    ("urlquery.decode", 1, encoding::decode_query),
    ("urlquery.decode_object", 1, encoding::decode_query_object),
    ("uuid.parse", 1, uuid::parse),
];

/// Replaces them in an engine that has no policy yet, and lets it read long lines.
pub(super) fn install(engine: &mut Engine) -> Result<(), InterpreterError> {
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: MAX_COLUMNS,
        ..PolicyLengthConfig::default()
    });
    for (name, arguments, function) in FUNCTIONS {
        let call = move |params: Vec<Value>| -> anyhow::Result<Value> { Ok(function(&params)?) };
        engine
            .add_extension((*name).to_owned(), *arguments, Box::new(call))
            .map_err(|error| InterpreterError::new(&error))?;
    }
    Ok(())
}
