//! `sprintf`, as Go's `fmt` does it for what OPA gives it: whole numbers, fractions and texts. All
//! else is a text of Rego by then.

use regorus::Value;

use super::function::{Outcome, Unsupported, string};
use super::go_text::{quoted, rego};
use super::number::{Number, exponent, number, shortest};

/// More is never meant, and takes memory.
const MAX_WIDTH: usize = 1024;
/// Of a result, in bytes.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// Flags, width and precision of a verb.
#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of `fmt`")]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

enum Arg {
    Int(i64),
    Big(String),
    Float(f64),
    Whole(f64),
    Text(String),
}

fn unsupported(why: impl Into<String>) -> Unsupported {
    Unsupported::new("sprintf", why)
}

pub(super) fn sprintf(args: &[Value]) -> Outcome {
    let (Some(format), Some(Value::Array(values))) = (string(args.first()), args.get(1)) else {
        return Err(Unsupported::argument("sprintf"));
    };
    let mut values = values.iter();
    let mut text = String::with_capacity(format.len());
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if text.len() > MAX_TEXT {
            return Err(unsupported("the result is too long"));
        }
        if c != '%' {
            text.push(c);
            continue;
        }
        let spec = spec(&mut chars)?;
        let Some(verb) = chars.next() else {
            text.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            text.push('%');
            continue;
        }
        match values.next() {
            Some(value) => text.push_str(&formatted(&spec, verb, &arg(value)?)?),
            None => text.extend(["%!", verb.encode_utf8(&mut [0; 4]), "(MISSING)"]),
        }
    }
    let extra = values.map(|value| shown(&arg(value)?)).collect::<Result<Vec<_>, _>>()?;
    if !extra.is_empty() {
        text.extend(["%!(EXTRA ", &extra.join(", "), ")"]);
    }
    Ok(Value::from(text))
}

/// What is between `%` and the verb.
fn spec(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Spec, Unsupported> {
    let mut spec = Spec::default();
    while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
        match flag {
            '+' => spec.plus = true,
            '-' => spec.minus = true,
            '#' => spec.sharp = true,
            ' ' => spec.space = true,
            _ => spec.zero = true,
        }
    }
    // Go pads on the right with spaces only.
    spec.zero &= !spec.minus;
    if let Some(width) = digits(chars)? {
        spec.width = width;
    }
    // At the end of the format, the point is the verb.
    if chars.clone().nth(1).is_some() && chars.next_if_eq(&'.').is_some() {
        spec.precision = Some(digits(chars)?.unwrap_or_default());
    }
    if chars.peek().is_some_and(|c| matches!(c, '*' | '[')) {
        return Err(unsupported("`*` and `[n]` are not supported"));
    }
    Ok(spec)
}

fn digits(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<Option<usize>, Unsupported> {
    let mut number: Option<usize> = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
        let more = number.unwrap_or_default() * 10 + digit as usize;
        if more > MAX_WIDTH {
            return Err(unsupported(format!("a width or precision above {MAX_WIDTH}")));
        }
        number = Some(more);
    }
    Ok(number)
}

fn arg(value: &Value) -> Result<Arg, Unsupported> {
    let uncertain = || unsupported("the text of a value is not certain");
    Ok(match (value, number(value)) {
        (Value::String(text), _) => Arg::Text(text.to_string()),
        (_, Some(Number::Int(int))) => Arg::Int(int),
        (_, Some(Number::Big(digits))) => Arg::Big(digits),
        (_, Some(Number::Float(float))) => Arg::Float(float),
        (_, Some(Number::Whole(float))) => Arg::Whole(float),
        (other, None) => Arg::Text(rego(other).ok_or_else(uncertain)?),
    })
}

/// `type=value`, for what has no verb.
fn shown(arg: &Arg) -> Result<String, Unsupported> {
    wrong(&Spec::default(), arg)
}

fn wrong(spec: &Spec, arg: &Arg) -> Result<String, Unsupported> {
    let kind = match arg {
        Arg::Int(_) => "int64",
        Arg::Float(_) => "float64",
        Arg::Text(_) => "string",
        Arg::Big(_) | Arg::Whole(_) => return Err(ambiguous()),
    };
    let value = known(spec, 'v', arg)?.unwrap_or_default();
    Ok(format!("{kind}={value}"))
}

fn ambiguous() -> Unsupported {
    unsupported("whether a number without a fraction was written with one is not known here")
}

fn formatted(spec: &Spec, verb: char, arg: &Arg) -> Result<String, Unsupported> {
    let spec = match verb {
        // `%+v` is about the names of fields.
        'v' => Spec { plus: false, ..*spec },
        _ => *spec,
    };
    if spec.sharp && !(matches!(verb, 'x' | 'X') && matches!(arg, Arg::Int(_))) {
        return Err(unsupported(format!("`%#{verb}` is not supported")));
    }
    if verb == 'T' {
        let kind = wrong(&Spec::default(), arg)?;
        let kind = kind.split('=').next().unwrap_or_default();
        return Ok(words(&spec, 's', kind)?.unwrap_or_default());
    }
    match known(&spec, verb, arg)? {
        Some(text) => Ok(text),
        None => Ok(format!("%!{verb}({})", wrong(&spec, arg)?)),
    }
}

/// `None` when the verb is not one of such values.
fn known(spec: &Spec, verb: char, arg: &Arg) -> Result<Option<String>, Unsupported> {
    Ok(match arg {
        Arg::Int(int) => integer(spec, verb, *int)?,
        Arg::Float(float) => fraction(spec, verb, *float)?,
        Arg::Text(text) => words(spec, verb, text)?,
        Arg::Big(digits) => {
            let plain = matches!(verb, 'd' | 's' | 'v') && !spec.plus && !spec.space && !spec.zero;
            if !plain || spec.precision.is_some() {
                return Err(unsupported(format!("`%{verb}` of a number above 64 bits")));
            }
            Some(padded(spec, digits.clone()))
        }
        // Below, both forms are written alike.
        Arg::Whole(float) => {
            let plain = verb == 'v' && float.abs() < 1e6 && spec.precision.is_none();
            if !plain || spec.space || spec.zero {
                return Err(ambiguous());
            }
            Some(padded(spec, format!("{float:.0}")))
        }
    })
}

fn padded(spec: &Spec, text: String) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    let fill = if spec.zero { "0" } else { " " }.repeat(missing);
    if spec.minus { text + &fill } else { fill + &text }
}

/// `None` when the verb is not one of whole numbers.
fn integer(spec: &Spec, verb: char, int: i64) -> Result<Option<String>, Unsupported> {
    let size = int.unsigned_abs();
    let (prefix, digits) = match verb {
        'd' | 'v' => ("", size.to_string()),
        'b' => ("", format!("{size:b}")),
        'o' => ("", format!("{size:o}")),
        'O' => ("0o", format!("{size:o}")),
        'x' => (if spec.sharp { "0x" } else { "" }, format!("{size:x}")),
        'X' => (if spec.sharp { "0X" } else { "" }, format!("{size:X}")),
        'c' | 'U' => return code_point(spec, verb, int).map(Some),
        'q' => return Err(unsupported("`%q` of a number is not supported")),
        // `1e2` is a fraction to OPA.
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => return Err(ambiguous()),
        _ => return Ok(None),
    };
    let sign = match (int < 0, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    if spec.precision == Some(0) && int == 0 {
        return Ok(Some(" ".repeat(spec.width)));
    }
    // Zeros fill the width up to the sign, unless a precision says how many digits there are.
    let wanted = match spec.precision {
        Some(precision) => precision,
        None if spec.zero => spec.width.saturating_sub(sign.len()),
        None => 0,
    };
    let digits = format!("{digits:0>wanted$}");
    let spaces = Spec { zero: false, ..*spec };
    Ok(Some(padded(&spaces, format!("{sign}{prefix}{digits}"))))
}

fn code_point(spec: &Spec, verb: char, int: i64) -> Result<String, Unsupported> {
    let plain = !spec.plus && !spec.space && !spec.zero && spec.precision.is_none();
    let c = u32::try_from(int).ok().and_then(char::from_u32);
    let (true, Some(c)) = (plain, c) else {
        return Err(unsupported(format!("`%{verb}` of what is not a character")));
    };
    let text = if verb == 'c' { c.to_string() } else { format!("U+{:04X}", u32::from(c)) };
    Ok(padded(spec, text))
}

/// `None` when the verb is not one of fractions.
fn fraction(spec: &Spec, verb: char, float: f64) -> Result<Option<String>, Unsupported> {
    let size = float.abs();
    let precision = spec.precision;
    let text = match (verb, precision) {
        ('f' | 'F', _) => format!("{size:.0$}", precision.unwrap_or(6)),
        ('e' | 'E', _) => exponent(size, Some(precision.unwrap_or(6))),
        ('g' | 'G' | 'v', None) => shortest(size),
        ('g' | 'G' | 'v', Some(_)) => {
            return Err(unsupported(format!("`%.N{verb}` is not supported; use `%.Nf`")));
        }
        ('b' | 'x' | 'X', _) => {
            return Err(unsupported(format!("`%{verb}` of a fraction is not supported")));
        }
        _ => return Ok(None),
    };
    let text = if verb.is_ascii_uppercase() { text.to_uppercase() } else { text };
    let sign = match (float.is_sign_negative(), spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let wanted = if spec.zero { spec.width.saturating_sub(sign.len()) } else { 0 };
    let spaces = Spec { zero: false, ..*spec };
    Ok(Some(padded(&spaces, format!("{sign}{text:0>wanted$}"))))
}

/// `None` when the verb is not one of texts.
fn words(spec: &Spec, verb: char, text: &str) -> Result<Option<String>, Unsupported> {
    let cut: String = match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let uncertain = || unsupported("how a text is quoted is not certain");
    let text = match verb {
        's' | 'v' => cut,
        'q' if !spec.plus => quoted(&cut).ok_or_else(uncertain)?,
        'x' | 'X' if spec.precision.is_none() && !spec.space => {
            let hex = hex::encode(cut.as_bytes());
            if verb == 'X' { hex.to_uppercase() } else { hex }
        }
        'q' | 'x' | 'X' => return Err(unsupported(format!("these flags of `%{verb}`"))),
        _ => return Ok(None),
    };
    Ok(Some(padded(spec, text)))
}
