//! The decision document, read strictly: anything that is not exactly a decision is a deny.

use std::sync::Arc;

use regorus::Value;
use regorus::value::Object;
use sentinel_core::policy::{Obligation, PolicyDecision, PolicyError, PolicyReason};
use sentinel_core::quota::{Quota, Window};
use sentinel_core::rate::RateRule;

const MAX_REASONS: usize = 32;
const MAX_CODE: usize = 64;
/// In characters.
const MAX_MSG: usize = 500;
const MAX_OBLIGATIONS: usize = 16;
/// All fields of one obligation, as JSON.
const MAX_OBLIGATION_BYTES: usize = 4096;
/// Stores count in signed 64-bit integers.
const MAX_LIMIT: u64 = i64::MAX.cast_unsigned();
const KNOWN_OBLIGATIONS: [&str; 3] = ["alert", RateRule::OBLIGATION, Obligation::REQUIRE_AGENT];
/// Code of a reason that the seed's policies give without one.
const SEED_CODE: &str = "policy_denied";

fn malformed(detail: impl Into<String>) -> PolicyError {
    PolicyError::Malformed(detail.into())
}

/// Reads a decision document.
///
/// # Errors
/// `Undefined` when there is none, `UnknownObligation`, otherwise `Malformed`.
pub fn decision(document: &Value, revision: &Arc<str>) -> Result<PolicyDecision, PolicyError> {
    if *document == Value::Undefined {
        return Err(PolicyError::Undefined);
    }
    let fields = object(document, "the decision")?;
    known_fields(fields, "the decision", &["allow", "reasons", "obligations", "quota"])?;
    let allow = match field(fields, "allow") {
        Some(Value::Bool(allow)) => *allow,
        Some(_) => return Err(malformed("`allow` must be a boolean")),
        None => return Err(malformed("the decision has no `allow`")),
    };
    let reasons = list(fields, "reasons", MAX_REASONS)?;
    let obligations = list(fields, "obligations", MAX_OBLIGATIONS)?;
    Ok(PolicyDecision {
        allow,
        reasons: reasons.into_iter().map(reason).collect::<Result<_, _>>()?,
        obligations: obligations.into_iter().map(obligation).collect::<Result<_, _>>()?,
        quota: field(fields, "quota").map(quota).transpose()?,
        revision: Arc::clone(revision),
    })
}

/// Reads the values of a policy of the seed's shape: `allow`, `deny_reason`, `quota_remaining`.
///
/// What remains is seen before the call at hand, so `usage` and it add up to the limit of the day.
pub(super) fn seed_decision(
    allow: &Value,
    deny_reason: &Value,
    quota_remaining: &Value,
    usage: u64,
    revision: &Arc<str>,
) -> Result<PolicyDecision, PolicyError> {
    let allow = match allow {
        Value::Bool(allow) => *allow,
        Value::Undefined => return Err(PolicyError::Undefined),
        _ => return Err(malformed("`allow` must be a boolean")),
    };
    let quota = match quota_remaining {
        Value::Undefined => None,
        Value::Number(number) if number.is_integer() => {
            let limit = match (number.as_u64(), number.as_i64()) {
                (Some(left), _) => usage.checked_add(left).filter(|limit| *limit <= MAX_LIMIT),
                (None, Some(over)) => Some(usage.saturating_sub(over.unsigned_abs())),
                (None, None) => None,
            };
            let limit = limit.ok_or_else(|| malformed("`quota_remaining` is out of range"))?;
            Some(Quota { limit, window: Window::DAY })
        }
        _ => return Err(malformed("`quota_remaining` must be an integer")),
    };
    let reasons = if allow { Vec::new() } else { seed_reasons(deny_reason)? };
    let revision = Arc::clone(revision);
    Ok(PolicyDecision { allow, reasons, obligations: Vec::new(), quota, revision })
}

fn seed_reasons(value: &Value) -> Result<Vec<PolicyReason>, PolicyError> {
    let messages = match value {
        Value::Undefined => return Ok(Vec::new()),
        Value::String(_) => vec![value],
        other => items(other, "deny_reason", MAX_REASONS)?,
    };
    let reason = |value| {
        Ok(PolicyReason { code: SEED_CODE.to_owned(), msg: message(value, "deny_reason")? })
    };
    messages.into_iter().map(reason).collect()
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Object, PolicyError> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(malformed(format!("{what} must be an object"))),
    }
}

fn field<'a>(fields: &'a Object, name: &str) -> Option<&'a Value> {
    fields.iter().find(|(key, _)| is(key, name)).map(|(_, value)| value)
}

fn is(key: &Value, name: &str) -> bool {
    matches!(key, Value::String(key) if key.as_ref() == name)
}

/// A misspelt field must not pass for an absent one.
fn known_fields(fields: &Object, what: &str, known: &[&str]) -> Result<(), PolicyError> {
    match fields.keys().find(|key| !known.iter().any(|name| is(key, name))) {
        None => Ok(()),
        Some(Value::String(name)) => {
            let name: String = name.chars().take(32).collect();
            Err(malformed(format!("{what} has an unknown field `{name}`")))
        }
        Some(_) => Err(malformed(format!("{what} has a field whose name is not a string"))),
    }
}

fn list<'a>(fields: &'a Object, name: &str, limit: usize) -> Result<Vec<&'a Value>, PolicyError> {
    field(fields, name).map_or(Ok(Vec::new()), |value| items(value, name, limit))
}

/// Arrays, and sets too, which are arrays once they are JSON.
fn items<'a>(value: &'a Value, name: &str, limit: usize) -> Result<Vec<&'a Value>, PolicyError> {
    let items: Vec<&Value> = match value {
        Value::Array(items) => items.iter().take(limit + 1).collect(),
        Value::Set(items) => items.iter().take(limit + 1).collect(),
        _ => return Err(malformed(format!("`{name}` must be a list"))),
    };
    if items.len() > limit {
        return Err(malformed(format!("`{name}` has more than {limit} entries")));
    }
    Ok(items)
}

fn string(value: Option<&Value>, name: &str) -> Result<Arc<str>, PolicyError> {
    match value {
        Some(Value::String(text)) => Ok(Arc::clone(text)),
        _ => Err(malformed(format!("`{name}` must be a string"))),
    }
}

fn message(value: &Value, name: &str) -> Result<String, PolicyError> {
    let text = string(Some(value), name)?;
    if text.chars().count() > MAX_MSG || text.chars().any(char::is_control) {
        return Err(malformed(format!(
            "`{name}` must be one line of at most {MAX_MSG} characters"
        )));
    }
    Ok(text.as_ref().to_owned())
}

fn reason(value: &Value) -> Result<PolicyReason, PolicyError> {
    let fields = object(value, "a reason")?;
    known_fields(fields, "a reason", &["code", "msg"])?;
    let code = string(field(fields, "code"), "code")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if code.is_empty() || code.len() > MAX_CODE || !code.bytes().all(allowed) {
        let rule = "letters, digits, `_`, `-` and `.`";
        return Err(malformed(format!("`code` must be 1 to {MAX_CODE} {rule}")));
    }
    let msg = field(fields, "msg").ok_or_else(|| malformed("a reason has no `msg`"))?;
    Ok(PolicyReason { code: code.as_ref().to_owned(), msg: message(msg, "msg")? })
}

fn obligation(value: &Value) -> Result<Obligation, PolicyError> {
    let fields = object(value, "an obligation")?;
    let kind = string(field(fields, "type"), "type")?;
    if !KNOWN_OBLIGATIONS.contains(&kind.as_ref()) {
        return Err(PolicyError::UnknownObligation(kind.chars().take(64).collect()));
    }
    let unreadable = |_| malformed("an obligation is not json");
    let json = serde_json::to_value(value).map_err(unreadable)?;
    if json.to_string().len() > MAX_OBLIGATION_BYTES {
        let detail = format!("an obligation is longer than {MAX_OBLIGATION_BYTES} bytes");
        return Err(malformed(detail));
    }
    let obligation =
        serde_json::from_value(json).map_err(|_| malformed("an obligation is not json"))?;
    RateRule::of_obligation(&obligation).map_err(|error| malformed(error.to_string()))?;
    Ok(obligation)
}

fn quota(value: &Value) -> Result<Quota, PolicyError> {
    let fields = object(value, "`quota`")?;
    known_fields(fields, "`quota`", &["limit", "window", "remaining"])?;
    let limit = match field(fields, "limit") {
        Some(Value::Number(number)) if number.is_integer() => number.as_u64(),
        _ => None,
    };
    let limit = limit
        .filter(|limit| *limit <= MAX_LIMIT)
        .ok_or_else(|| malformed("`quota.limit` must be an integer from 0 to 2^63-1"))?;
    let window = match field(fields, "window") {
        None => Window::DAY,
        window => string(window, "quota.window")?
            .parse()
            .map_err(|error| malformed(format!("{error}")))?,
    };
    Ok(Quota { limit, window })
}
