//! How a deny is told to a client: as a result with `isError` and one text, the only form that
//! every client survives, that none repeats by itself, and that nearly all show to the model.
//!
//! Many clients put "please try again" in front of the text, so it begins with the decision and
//! says at once whether repeating the call helps. Some search it for words by which they recognise
//! other failures, so it contains none of [`AVOIDED`].

mod words;

use std::time::Duration;

use serde_json::{Value, json};

use crate::authority::Denied;
use crate::upstream::Failure;
use sentinel_mcp_protocol::jsonrpc::{Object, RpcError};

pub use words::AVOIDED;

/// Details of a deny, in the `_meta` of a result.
pub const DENIAL: &str = "sentinel/denial";
/// The structured denial of SEP-2643, as its draft writes it into the data of errors.
pub const AUTHORIZATION: &str = "authorization";
/// `INVALID_PARAMS`: for methods whose results cannot say that they failed.
const REFUSED: i64 = -32602;

/// The result of a tool call that was denied.
#[must_use]
pub fn result(denied: &Denied) -> Object {
    let mut meta = Object::new();
    meta.insert(DENIAL.to_owned(), details(denied));
    meta.insert(AUTHORIZATION.to_owned(), authorization(denied));
    let mut result = failed(&text(denied));
    result.insert("_meta".to_owned(), Value::Object(meta));
    result
}

/// The error of any other request that was denied: its result has no place for that.
#[must_use]
pub fn error(denied: &Denied) -> RpcError {
    let data = json!({ DENIAL: details(denied), AUTHORIZATION: authorization(denied) });
    RpcError { code: REFUSED, message: text(denied), data: Some(data) }
}

/// The result of a tool call that failed, with one text.
#[must_use]
pub fn failed(text: &str) -> Object {
    let mut result = Object::new();
    result.insert("content".to_owned(), json!([{ "type": "text", "text": text }]));
    result.insert("isError".to_owned(), Value::Bool(true));
    result
}

/// What the model reads.
#[must_use]
pub fn text(denied: &Denied) -> String {
    let words = words::of(&denied.code);
    let reason = words::plain(&denied.reason);
    let again = denied.retry_after.filter(|_| words.passes).map_or_else(
        || words.again.to_owned(),
        |wait| format!("Do not repeat it before {} have passed.", seconds(wait)),
    );
    let code = words::plain(&denied.code);
    let decision = denied.decision.map(|decision| format!(", decision {decision}"));
    let wait = denied.retry_after.map(|wait| format!(", retry after {}", seconds(wait)));
    let (decision, wait) = (decision.unwrap_or_default(), wait.unwrap_or_default());
    let (lead, remedy) = (words.lead, words.remedy);
    format!("{lead}: {reason}. {again} {remedy} (code {code}{decision}{wait})")
}

/// What the model reads of a call that got no reply: whether it may have been carried out.
#[must_use]
pub fn unanswered(failure: &Failure) -> String {
    let (detail, code) = (words::plain(&failure.detail), failure.code);
    if failure.may_have_run {
        format!(
            "The call was sent, and no reply came back: {detail}. Whether it was carried out is \
             not known: find out before you repeat it. (code {code})"
        )
    } else {
        format!("The call was not made: {detail}. Nothing was carried out. (code {code})")
    }
}

fn details(denied: &Denied) -> Value {
    let words = words::of(&denied.code);
    let mut details = Object::new();
    let mut put = |name: &str, value: Value| details.insert(name.to_owned(), value);
    put("code", json!(denied.code));
    put("reason", json!(words::plain(&denied.reason)));
    put("remedy", json!(words.remedy));
    put("retryable", json!(words.passes));
    if let Some(decision) = denied.decision {
        put("decision_id", json!(decision));
    }
    if let Some(wait) = denied.retry_after {
        put("retry_after_ms", json!(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
    }
    Value::Object(details)
}

fn authorization(denied: &Denied) -> Value {
    match denied.decision {
        Some(decision) => json!({
            "reason": "insufficient_authorization",
            "authorizationContextId": decision,
            "remediationHints": [],
        }),
        None => json!({ "reason": "insufficient_authorization", "remediationHints": [] }),
    }
}

/// Rounded up, so that waiting as long is enough.
fn seconds(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1000);
    if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") }
}
