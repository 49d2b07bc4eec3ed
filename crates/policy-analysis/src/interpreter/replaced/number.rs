//! Numbers as Go's `fmt` writes them.

use regorus::Value;

/// A number as OPA's `sprintf` sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    Int(i64),
    /// Of more than 64 bits, in decimal.
    Big(String),
    Float(f64),
    /// Without a fraction, of which the interpreter does not say whether it was written with one.
    Whole(f64),
}

/// `None` when it is not a number that can be written.
pub(super) fn number(value: &Value) -> Option<Number> {
    let Value::Number(number) = value else { return None };
    // The kind of a number is not public, but that of another can be compared with it.
    let float = Value::from(0.5);
    let is_float = float
        .as_number()
        .is_ok_and(|float| std::mem::discriminant(float) == std::mem::discriminant(number));
    if is_float {
        let float = number.as_f64()?;
        return Some(if number.is_integer() { Number::Whole(float) } else { Number::Float(float) });
    }
    let text = number.format_decimal();
    Some(text.parse().map_or(Number::Big(text), Number::Int))
}

/// `%e`: at least two digits of exponent, and its sign.
pub(super) fn exponent(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g` with as many digits as the value needs.
pub(super) fn shortest(value: f64) -> String {
    let power = format!("{value:e}").split_once('e').and_then(|(_, power)| power.parse().ok());
    match power {
        Some(-4..6) => format!("{value}"),
        _ => exponent(value, None),
    }
}
