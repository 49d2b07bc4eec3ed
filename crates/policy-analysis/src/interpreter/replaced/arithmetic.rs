//! Functions of numbers whose edges differ.

use regorus::Value;

use super::function::{Outcome, Unsupported};

fn is_small_negative(value: &Value) -> bool {
    value.as_f64().is_ok_and(|float| -1.0 < float && float < 0.0)
}

/// Between -1 and 0, OPA has other results than arithmetic.
fn rounded(args: &[Value], name: &'static str, up: bool) -> Outcome {
    let Some(value @ Value::Number(number)) = args.first() else {
        return Err(Unsupported::argument(name));
    };
    if is_small_negative(value) {
        return Err(Unsupported::new(name, "numbers between -1 and 0 are not supported"));
    }
    Ok(Value::Number(if up { number.ceil() } else { number.floor() }))
}

pub(super) fn ceil(args: &[Value]) -> Outcome {
    rounded(args, "ceil", true)
}

pub(super) fn floor(args: &[Value]) -> Outcome {
    rounded(args, "floor", false)
}

/// `format_int`: what is behind the point is cut off.
pub(super) fn format_int(args: &[Value]) -> Outcome {
    let (Some(Value::Number(number)), Some(Value::Number(base))) = (args.first(), args.get(1))
    else {
        return Err(Unsupported::argument("format_int"));
    };
    let whole = number.abs().floor();
    let digits = match base.as_u64() {
        Some(2) => whole.format_bin(),
        Some(8) => whole.format_octal(),
        Some(10) => whole.format_decimal(),
        Some(16) => whole.format_hex(),
        _ => return Err(Unsupported::argument("format_int")),
    };
    let negative = !number.is_positive() && digits != "0";
    Ok(Value::from(if negative { format!("-{digits}") } else { digits }))
}

/// `bits.rsh`.
pub(super) fn shift_right(args: &[Value]) -> Outcome {
    let (Some(Value::Number(number)), Some(Value::Number(by))) = (args.first(), args.get(1)) else {
        return Err(Unsupported::argument("bits.rsh"));
    };
    if !number.is_integer() || !by.is_integer() || !by.is_positive() {
        return Err(Unsupported::argument("bits.rsh"));
    }
    let shifted = number.rsh(by);
    shifted
        .map(Value::Number)
        .ok_or_else(|| Unsupported::new("bits.rsh", "so far a shift is not supported"))
}
