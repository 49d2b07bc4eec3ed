//! Builtins that parse text, with a look at the text first: an exponent, a string of digits, deep
//! nesting or an alias can cost more than the length of the text says.

use std::sync::Arc;

use regorus::{Engine, Value};

use super::error::InterpreterError;

/// Digits of one number.
const MAX_DIGITS: usize = 1024;
/// Of a number in scientific notation; more than those of any 64-bit float.
const MAX_EXPONENT: u32 = 1024;
/// Levels of nested arrays and objects in JSON.
const MAX_DEPTH: usize = 64;
/// Bytes of a YAML document, and of one that refers to its own parts.
const MAX_YAML: usize = 64 * 1024;
const MAX_YAML_WITH_ALIASES: usize = 4 * 1024;
/// Brackets that open in a YAML document, of which each further token may look at each.
const MAX_YAML_BRACKETS: usize = 1024;

/// Puts the guarded functions in the place of the interpreter's.
pub(super) fn guard(engine: &mut Engine) -> Result<(), InterpreterError> {
    type Function = fn(&str) -> anyhow::Result<Value>;
    let guarded: [(&str, Function); 3] = [
        ("json.unmarshal", json_unmarshal),
        ("yaml.is_valid", yaml_is_valid),
        ("yaml.unmarshal", yaml_unmarshal),
    ];
    let failed = |error: anyhow::Error| InterpreterError::new(&error);
    for (name, function) in guarded {
        let call = move |arguments: Vec<Value>| function(&text(name, &arguments)?);
        engine.add_extension(name.to_owned(), 1, Box::new(call)).map_err(failed)?;
    }
    engine.add_extension("to_number".to_owned(), 1, Box::new(to_number)).map_err(failed)?;
    #[cfg(feature = "planted-faults")]
    super::planted::add(engine)?;
    Ok(())
}

fn text(name: &str, arguments: &[Value]) -> anyhow::Result<Arc<str>> {
    match arguments {
        [Value::String(text)] => Ok(Arc::clone(text)),
        _ => anyhow::bail!("`{name}` expects a string"),
    }
}

fn json_unmarshal(text: &str) -> anyhow::Result<Value> {
    json(text)?;
    Value::from_json_str(text).map_err(|_| anyhow::anyhow!("the text is not JSON"))
}

fn yaml_is_valid(text: &str) -> anyhow::Result<Value> {
    yaml(text)?;
    Ok(Value::from(Value::from_yaml_str(text).is_ok()))
}

fn yaml_unmarshal(text: &str) -> anyhow::Result<Value> {
    yaml(text)?;
    Value::from_yaml_str(text).map_err(|_| anyhow::anyhow!("the text is not YAML"))
}

/// Texts are read as JSON numbers, without anything around them.
#[expect(clippy::needless_pass_by_value, reason = "the shape of an extension")]
fn to_number(arguments: Vec<Value>) -> anyhow::Result<Value> {
    match arguments.as_slice() {
        [Value::Null | Value::Bool(false)] => Ok(Value::from(0_u64)),
        [Value::Bool(true)] => Ok(Value::from(1_u64)),
        [number @ Value::Number(_)] => Ok(number.clone()),
        [Value::String(text)] => {
            json(text)?;
            anyhow::ensure!(is_number(text), "the text is not a number");
            match Value::from_json_str(text) {
                Ok(number @ Value::Number(_)) => Ok(number),
                _ => anyhow::bail!("could not parse the text as a number"),
            }
        }
        _ => anyhow::bail!("`to_number` expects a boolean, a number, a string or null"),
    }
}

/// Whether a text is a number as OPA reads it: of JSON, and in the range of a 64-bit float. The
/// sign of a negative zero is kept there and not here.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let positive = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match positive.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (positive, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let value = text.parse::<f64>().ok();
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
        && value
            .is_some_and(|value| value.is_finite() && !(value == 0.0 && value.is_sign_negative()))
}

/// Whether JSON is parsed in a time that its length bounds. Looks at strings, too: one that looks
/// like a huge number is refused, which is rare.
pub(crate) fn json(text: &str) -> anyhow::Result<()> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        anyhow::ensure!(depth <= MAX_DEPTH, "the text is nested more than {MAX_DEPTH} levels deep");
    }
    numbers(text)
}

/// Whether no number is longer, or larger, than it may be.
fn numbers(text: &str) -> anyhow::Result<()> {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '_' | '+' | '-' | 'e' | 'E');
    for number in text.split(|c| !part(c)) {
        anyhow::ensure!(number.len() <= MAX_DIGITS, "a number has more than {MAX_DIGITS} digits");
        for exponent in number.split(['e', 'E']).skip(1) {
            let digits: String = exponent.chars().filter(char::is_ascii_digit).collect();
            let small = digits.is_empty() || digits.parse().is_ok_and(|n: u32| n <= MAX_EXPONENT);
            anyhow::ensure!(small, "a number has an exponent of more than {MAX_EXPONENT}");
        }
    }
    Ok(())
}

fn yaml(text: &str) -> anyhow::Result<()> {
    anyhow::ensure!(text.len() <= MAX_YAML, "the text is longer than {MAX_YAML} bytes");
    let aliases = text.contains('&') && text.contains('*');
    anyhow::ensure!(
        !aliases || text.len() <= MAX_YAML_WITH_ALIASES,
        "a text with anchors and aliases is longer than {MAX_YAML_WITH_ALIASES} bytes"
    );
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    anyhow::ensure!(
        brackets <= MAX_YAML_BRACKETS,
        "the text opens more than {MAX_YAML_BRACKETS} brackets"
    );
    numbers(text)
}
