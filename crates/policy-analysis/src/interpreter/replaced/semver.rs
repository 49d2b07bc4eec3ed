//! `semver.*`, by the rules of semver.org with a leading `v`, and numbers of 63 bits.

use std::cmp::Ordering;

use regorus::Value;

use super::function::{Outcome, string};

struct Version<'t> {
    core: [i64; 3],
    /// Empty when it is a release.
    pre: Vec<&'t str>,
}

pub(super) fn is_valid(args: &[Value]) -> Outcome {
    Ok(Value::from(string(args.first()).and_then(parse).is_some()))
}

pub(super) fn compare(args: &[Value]) -> Outcome {
    let parsed = |index: usize| string(args.get(index)).and_then(parse);
    let (Some(a), Some(b)) = (parsed(0), parsed(1)) else { return Ok(Value::Undefined) };
    let order = a.core.cmp(&b.core).then_with(|| match (a.pre.is_empty(), b.pre.is_empty()) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => precedence(&a.pre, &b.pre),
    });
    Ok(Value::from(i64::from(order as i8)))
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = cut(text, '+');
    let (text, pre) = cut(text, '-');
    if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
        return None;
    }
    let pre: Vec<_> = pre.into_iter().flat_map(|pre| pre.split('.')).collect();
    let padded = |part: &&str| is_digits(part) && part.len() > 1 && part.starts_with('0');
    if !pre.iter().all(|part| is_identifier(part)) || pre.iter().any(padded) {
        return None;
    }
    let mut parts = text.split('.').map(|part| {
        (is_digits(part) && !padded(&part)).then(|| part.parse::<i64>().ok()).flatten()
    });
    let core = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(Version { core, pre })
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Part by part; of two that are equal as far as they go, the longer one is greater.
fn precedence(a: &[&str], b: &[&str]) -> Ordering {
    // A number too large for OPA is as large as it gets.
    let number = |part: &str| part.parse::<i64>().unwrap_or(i64::MAX);
    let pairs = a.iter().zip(b).map(|(a, b)| match (is_digits(a), is_digits(b)) {
        (true, true) => number(a).cmp(&number(b)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    });
    let first = pairs.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| a.len().cmp(&b.len()))
}
