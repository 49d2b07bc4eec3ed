//! `regex.*`: expressions as Go reads them. `\d` and the like are ASCII only there, and several
//! forms are literal, or malformed, that Rust reads otherwise; [`translate`] says them in Rust's
//! way.

mod class;
mod translate;

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use regorus::Value;

use super::function::{Outcome, Unsupported, string};
use translate::{Refused, translate};

/// Of a compiled expression, in bytes, as the interpreter has it.
const SIZE_LIMIT: usize = 100 * 1024;
/// Compiled expressions that a thread keeps.
const CAPACITY: usize = 128;
/// Beyond it, results are an error.
const MAX_RESULT: usize = 4 * 1024 * 1024;

thread_local! {
    static COMPILED: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// `None` when the expression is malformed.
fn compile(pattern: &str) -> Result<Option<Regex>, Unsupported> {
    let known = COMPILED.with_borrow(|compiled| compiled.get(pattern).cloned());
    if let Some(known) = known {
        return Ok(known);
    }
    let compiled = match translate(pattern) {
        Err(Refused::Malformed) => None,
        Err(Refused::Unsupported(what)) => {
            return Err(Unsupported::new("regex", format!("{what} is not supported")));
        }
        Ok(text) => match RegexBuilder::new(&text).size_limit(SIZE_LIMIT).build() {
            Ok(regex) => Some(regex),
            Err(regex::Error::CompiledTooBig(_)) => {
                return Err(Unsupported::new("regex", "the expression is too large"));
            }
            Err(_) => None,
        },
    };
    COMPILED.with_borrow_mut(|all| {
        if all.len() >= CAPACITY {
            all.clear();
        }
        all.insert(pattern.to_owned(), compiled.clone());
    });
    Ok(compiled)
}

pub(super) fn is_valid(args: &[Value]) -> Outcome {
    let Some(pattern) = string(args.first()) else { return Ok(Value::from(false)) };
    Ok(Value::from(compile(pattern)?.is_some()))
}

pub(super) fn matches(args: &[Value]) -> Outcome {
    let (Some(pattern), Some(text)) = (string(args.first()), string(args.get(1))) else {
        return Ok(Value::Undefined);
    };
    Ok(compile(pattern)?.map_or(Value::Undefined, |regex| Value::from(regex.is_match(text))))
}

pub(super) fn split(args: &[Value]) -> Outcome {
    let (Some(pattern), Some(text)) = (string(args.first()), string(args.get(1))) else {
        return Ok(Value::Undefined);
    };
    let Some(regex) = compile(pattern)? else { return Ok(Value::Undefined) };
    if text.is_empty() && !pattern.is_empty() {
        return Ok(Value::from(vec![Value::from("")]));
    }
    let (mut parts, mut from, mut to) = (Vec::new(), 0, 0);
    let part = |from: usize, to: usize| Value::from(text.get(from..to).unwrap_or_default());
    for found in regex.find_iter(text) {
        to = found.start();
        if found.end() != 0 {
            parts.push(part(from, to));
        }
        from = found.end();
    }
    if to != text.len() {
        parts.push(part(from, text.len()));
    }
    Ok(Value::from(parts))
}

pub(super) fn replace(args: &[Value]) -> Outcome {
    let texts = [args.first(), args.get(1), args.get(2)].map(string);
    let [Some(text), Some(pattern), Some(value)] = texts else { return Ok(Value::Undefined) };
    let Some(regex) = compile(pattern)? else { return Ok(Value::Undefined) };
    // Go takes only letters, digits and `_` between braces, and all else as it is written.
    if value.contains("${") {
        return Err(Unsupported::new("regex.replace", "`${…}`; write `$1` or `$name`"));
    }
    let mut replaced = String::new();
    let mut from = 0;
    for found in regex.captures_iter(text) {
        let Some(all) = found.get(0) else { continue };
        replaced.push_str(text.get(from..all.start()).unwrap_or_default());
        found.expand(value, &mut replaced);
        from = all.end();
        if replaced.len() > MAX_RESULT {
            return Err(Unsupported::new("regex.replace", "the result is too long"));
        }
    }
    replaced.push_str(text.get(from..).unwrap_or_default());
    Ok(Value::from(replaced))
}

/// How many matches are asked for; `None` when it is not a whole number.
fn wanted(value: Option<&Value>) -> Option<usize> {
    let number = value?.as_number().ok()?;
    let n = if number.is_integer() { number.as_i64()? } else { return None };
    Some(usize::try_from(n).unwrap_or(usize::MAX))
}

pub(super) fn find_n(args: &[Value]) -> Outcome {
    let (Some(pattern), Some(text)) = (string(args.first()), string(args.get(1))) else {
        return Ok(Value::Undefined);
    };
    let (Some(regex), Some(n)) = (compile(pattern)?, wanted(args.get(2))) else {
        return Ok(Value::Undefined);
    };
    let found = regex.find_iter(text).take(n).map(|found| Value::from(found.as_str()));
    Ok(Value::from(found.collect::<Vec<_>>()))
}

pub(super) fn find_all_string_submatch_n(args: &[Value]) -> Outcome {
    let (Some(pattern), Some(text)) = (string(args.first()), string(args.get(1))) else {
        return Ok(Value::Undefined);
    };
    let (Some(regex), Some(n)) = (compile(pattern)?, wanted(args.get(2))) else {
        return Ok(Value::Undefined);
    };
    let found = regex.captures_iter(text).take(n).map(|captures| {
        let groups =
            captures.iter().map(|group| Value::from(group.map_or("", |group| group.as_str())));
        Value::from(groups.collect::<Vec<_>>())
    });
    Ok(Value::from(found.collect::<Vec<_>>()))
}

/// `regex.template_match`: expressions between delimiters, and all else literally.
pub(super) fn template_match(args: &[Value]) -> Outcome {
    let texts = [args.first(), args.get(1), args.get(2), args.get(3)].map(string);
    let [Some(template), Some(text), Some(open), Some(close)] = texts else {
        return Ok(Value::Undefined);
    };
    let ([open], [close]) = (open.as_bytes(), close.as_bytes()) else {
        return Ok(Value::Undefined);
    };
    if !open.is_ascii() || !close.is_ascii() || open == close {
        return Err(Unsupported::new("regex.template_match", "two delimiters of ascii are needed"));
    }
    let (mut pattern, mut from, mut level, mut start) = ("^".to_owned(), 0, 0_usize, 0);
    for (at, byte) in template.bytes().enumerate() {
        if byte == *open {
            level += 1;
            if level == 1 {
                start = at;
            }
        } else if byte == *close {
            let Some(outer) = level.checked_sub(1) else { return Ok(Value::Undefined) };
            level = outer;
            if level == 0 {
                let inner = template.get(start + 1..at).unwrap_or_default();
                if compile(&format!("^{inner}$"))?.is_none() {
                    return Ok(Value::Undefined);
                }
                pattern.push_str(&regex::escape(template.get(from..start).unwrap_or_default()));
                pattern.push_str(&format!("({inner})"));
                from = at + 1;
            }
        }
    }
    if level != 0 {
        return Ok(Value::Undefined);
    }
    pattern.push_str(&regex::escape(template.get(from..).unwrap_or_default()));
    pattern.push('$');
    Ok(compile(&pattern)?.map_or(Value::Undefined, |regex| Value::from(regex.is_match(text))))
}
