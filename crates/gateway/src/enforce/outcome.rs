//! How a call ended: recorded and signed whatever happens to the client meanwhile, and told in the
//! result.

use std::sync::Arc;

use sentinel_core::id::{DecisionId, ManifestId};
use serde_json::{Value, json};

use super::settings::{Enforcement, Sign};
use super::{DECISION, MANIFEST, OWN, UNRECORDED};
use crate::authority::{Allowed, Authority, Ended, Outcome};
use crate::client::Client;
use crate::denial;
use sentinel_mcp_protocol::jsonrpc::Object;

/// The record of one allowed call. When it is dropped before its end, because the client is gone
/// for example, the outcome is recorded all the same.
#[derive(Debug)]
pub(super) struct Record {
    enforcement: Arc<Enforcement>,
    authority: Arc<dyn Authority>,
    open: Option<Outcome>,
}

/// What is known of a record once it is complete.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recorded {
    manifest: Option<ManifestId>,
    failed: bool,
}

impl Record {
    pub(super) fn new(
        client: &Client,
        allowed: &Allowed,
        (tool, action): (&str, &'static str),
        call_id: &str,
    ) -> Self {
        let outcome = Outcome {
            decision: allowed.decision,
            record: allowed.record.clone(),
            tool: tool.to_owned(),
            action,
            call_id: call_id.to_owned(),
            ended: Ended::NotExecuted,
            result: None,
        };
        let (enforcement, authority) =
            (Arc::clone(&client.enforcement), Arc::clone(&client.authority));
        Self { enforcement, authority, open: Some(outcome) }
    }

    /// Says that the call is about to be sent: from here on it may have been carried out.
    pub(super) fn send(&mut self) {
        if let Some(outcome) = &mut self.open {
            outcome.ended = Ended::Unconfirmed;
        }
    }

    /// Leaves the end of the call to be recorded by the request that goes on with it.
    pub(super) fn leave(mut self) {
        self.open = None;
    }

    /// Records the end in a task of its own.
    pub(super) fn end_beside(mut self, ended: Ended) {
        if let Some(outcome) = &mut self.open {
            outcome.ended = ended;
        }
    }

    /// Records the end.
    pub(super) async fn end(mut self, ended: Ended, result: Option<Vec<u8>>) -> Recorded {
        let Some(outcome) = self.open.take() else { return Recorded::default() };
        let outcome = Outcome { ended, result, ..outcome };
        let (enforcement, authority) = (&self.enforcement, &self.authority);
        match enforcement.settings.sign {
            Sign::Before => settle(enforcement, &**authority, outcome).await,
            Sign::After => {
                settle_beside(Arc::clone(enforcement), Arc::clone(authority), outcome);
                Recorded::default()
            }
            Sign::Off => {
                enforcement.counts.ended(ended);
                Recorded::default()
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(outcome) = self.open.take() else { return };
        if self.enforcement.settings.sign == Sign::Off {
            self.enforcement.counts.ended(outcome.ended);
            return;
        }
        settle_beside(Arc::clone(&self.enforcement), Arc::clone(&self.authority), outcome);
    }
}

/// Settles in a task of its own, which ends within the time that the authority gives itself.
fn settle_beside(enforcement: Arc<Enforcement>, authority: Arc<dyn Authority>, outcome: Outcome) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(async move {
            settle(&enforcement, &*authority, outcome).await;
        })),
        Err(_) => enforcement.counts.unrecorded(),
    }
}

async fn settle(
    enforcement: &Enforcement,
    authority: &dyn Authority,
    outcome: Outcome,
) -> Recorded {
    enforcement.counts.ended(outcome.ended);
    let (decision, ended) = (outcome.decision, outcome.ended.as_str());
    match authority.settle(outcome).await {
        Ok(manifest) => Recorded { manifest, failed: false },
        Err(error) => {
            tracing::warn!(%decision, ended, error, "the outcome of a call was not recorded");
            enforcement.counts.unrecorded();
            Recorded { manifest: None, failed: true }
        }
    }
}

/// The exact bytes that the manifest of a result commits to: canonical, without what the gateway
/// adds to it.
pub(super) fn payload(result: &Object) -> Vec<u8> {
    // Writing JSON to memory does not fail.
    serde_json::to_vec(result).unwrap_or_default()
}

/// Says in a result by which decision it came about, and how that is recorded.
pub(super) fn mark(result: &mut Object, decision: DecisionId, recorded: Recorded) {
    add_meta(result, |meta| {
        meta.insert(DECISION.to_owned(), json!(decision));
        if let Some(manifest) = recorded.manifest {
            meta.insert(MANIFEST.to_owned(), json!(manifest));
        }
        if recorded.failed {
            meta.insert(UNRECORDED.to_owned(), Value::Bool(true));
        }
    });
}

/// Adds to `_meta` of a result.
pub(super) fn add_meta(result: &mut Object, add: impl FnOnce(&mut Object)) {
    let mut meta = match result.remove("_meta") {
        Some(Value::Object(meta)) => meta,
        _ => Object::new(),
    };
    add(&mut meta);
    result.insert("_meta".to_owned(), Value::Object(meta));
}

/// Takes out what only the gateway may say.
pub(super) fn disown(result: &mut Object) {
    if let Some(Value::Object(meta)) = result.get_mut("_meta") {
        meta.retain(|key, _| !key.starts_with(OWN));
        if meta.is_empty() {
            result.remove("_meta");
        }
    }
}

/// Makes the result of a tool one that every client survives. One that cannot be kept is replaced
/// by an error that says that the tool was carried out: most clients repeat the call otherwise.
pub(super) fn sound(mut result: Object, definition: Option<&Object>) -> Object {
    match fault(&result, definition) {
        None => {
            fill(&mut result);
            result
        }
        Some(fault) => denial::failed(&format!(
            "The tool was carried out, but its result cannot be passed on: {fault}. Repeating this \
             call would carry it out again: do not retry it."
        )),
    }
}

fn fault(result: &Object, definition: Option<&Object>) -> Option<&'static str> {
    let of_kind = |item: &Value| item.get("type").is_some_and(Value::is_string);
    let failed = match result.get("isError") {
        None => false,
        Some(Value::Bool(failed)) => *failed,
        Some(_) => return Some("`isError` is not a truth value"),
    };
    match result.get("resultType").map(Value::as_str) {
        None | Some(Some("complete")) => {}
        Some(_) => return Some("it is of a kind that the gateway does not govern"),
    }
    match result.get("content") {
        None => {}
        Some(Value::Array(content)) if content.iter().all(of_kind) => {}
        Some(_) => return Some("`content` is not a list of content"),
    }
    let promised = definition.is_some_and(|tool| tool.contains_key("outputSchema"));
    let given = result.get("structuredContent").is_some_and(|content| !content.is_null());
    (promised && !given && !failed)
        .then_some("it lacks the structured content that the tool promises")
}

/// Gives an empty result a text: some clients take one for a failure, and advise to try again.
fn fill(result: &mut Object) {
    if result.get("structuredContent").is_some_and(Value::is_null) {
        result.remove("structuredContent");
    }
    let empty = result.get("content").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if !empty {
        return;
    }
    let failed = result.get("isError") == Some(&Value::Bool(true));
    let content = match (failed, result.get("structuredContent")) {
        (true, _) => json!([{ "type": "text", "text": "The tool failed, and did not say why." }]),
        (false, Some(_)) => json!([]),
        (false, None) => json!([{ "type": "text", "text": "Done. The tool returned nothing." }]),
    };
    result.insert("content".to_owned(), content);
}
