//! Functions of texts whose edges differ: case, searching, cutting.

use regorus::Value;

use super::function::{Outcome, Unsupported, string};

/// Characters compared.
const MAX_WORK: usize = 100_000_000;

pub(super) fn lower(args: &[Value]) -> Outcome {
    mapped(args, "lower", |c| match c {
        'İ' => Some('i'),
        _ => single(c.to_lowercase()),
    })
}

pub(super) fn upper(args: &[Value]) -> Outcome {
    mapped(args, "upper", |c| match c {
        // It has no capital of one character, and stays as it is in OPA.
        'ß' => Some('ß'),
        _ => single(c.to_uppercase()),
    })
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// Character by character, as OPA does it: one becomes one.
fn mapped(args: &[Value], name: &'static str, map: impl Fn(char) -> Option<char>) -> Outcome {
    let Some(text) = string(args.first()) else { return Err(Unsupported::argument(name)) };
    let mapped: Option<String> = text.chars().map(map).collect();
    let mapped = mapped.ok_or_else(|| Unsupported::new(name, "a character becomes several"))?;
    Ok(Value::from(mapped))
}

pub(super) fn replace(args: &[Value]) -> Outcome {
    let texts = [args.first(), args.get(1), args.get(2)].map(string);
    let [Some(text), Some(old), Some(new)] = texts else {
        return Err(Unsupported::argument("replace"));
    };
    if old.is_empty() {
        return Err(Unsupported::new("replace", "an empty text cannot be replaced"));
    }
    Ok(Value::from(text.replace(old, new)))
}

/// Where `part` is in `text`, counted in characters, overlapping ones included.
fn places(args: &[Value], most: usize) -> Result<Option<Vec<usize>>, Unsupported> {
    let (Some(text), Some(part)) = (string(args.first()), string(args.get(1))) else {
        return Ok(None);
    };
    if part.is_empty() {
        return Ok(None);
    }
    if text.len().saturating_mul(part.len()) > MAX_WORK {
        return Err(Unsupported::new("indexof", "the texts are too long"));
    }
    let indices = text.char_indices().enumerate();
    let found =
        indices.filter(|(_, (at, _))| text.get(*at..).is_some_and(|rest| rest.starts_with(part)));
    Ok(Some(found.map(|(place, _)| place).take(most).collect()))
}

pub(super) fn indexof(args: &[Value]) -> Outcome {
    let Some(found) = places(args, 1)? else { return Err(Unsupported::argument("indexof")) };
    Ok(found.first().map_or_else(|| Value::from(-1_i64), |place| Value::from(*place)))
}

pub(super) fn indexof_n(args: &[Value]) -> Outcome {
    let Some(found) = places(args, usize::MAX)? else {
        return Err(Unsupported::argument("indexof_n"));
    };
    Ok(Value::from(found.into_iter().map(Value::from).collect::<Vec<_>>()))
}

/// `substring(text, offset, length)`: a negative length is all the rest.
pub(super) fn substring(args: &[Value]) -> Outcome {
    let whole = |value: Option<&Value>| {
        let number = value?.as_number().ok()?;
        number.is_integer().then(|| number.as_i64())?
    };
    let (Some(text), Some(offset), Some(length)) =
        (string(args.first()), whole(args.get(1)), whole(args.get(2)))
    else {
        return Err(Unsupported::argument("substring"));
    };
    let Ok(offset) = usize::try_from(offset) else {
        return Err(Unsupported::argument("substring"));
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(Value::from(text.chars().skip(offset).take(length).collect::<String>()))
}
