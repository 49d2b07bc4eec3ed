//! Requests of the modern era that wait for the client's input.
//!
//! A modern client cannot be asked while it waits. Its request is answered with the question; the
//! request itself goes on when the client repeats it with the response. The state that the client
//! repeats names the request that waits, and is of no use for any other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::asks::Answer;
use super::calls::Call;
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};

/// What our states begin with. A state of a server begins otherwise and is passed on.
const STATE: &str = "sent1.";
/// The one question that is asked at a time.
const KEY: &str = "question";
/// Members by which a repeated request differs from the first.
const OF_RETRIES: [&str; 3] = ["inputResponses", "requestState", "_meta"];

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Suspended(Mutex<HashMap<String, Waiting>>);

#[derive(Debug)]
struct Waiting {
    request: Fingerprint,
    call: Arc<Call>,
    answer: oneshot::Sender<Answer>,
}

/// What must be the same when a request is repeated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fingerprint {
    method: String,
    params: Object,
}

impl Fingerprint {
    pub(super) fn of(request: &Request) -> Self {
        let mut params = request.params.clone();
        for member in OF_RETRIES {
            params.remove(member);
        }
        Self { method: request.method.clone(), params }
    }
}

/// A request that goes on.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) call: Arc<Call>,
    answer: oneshot::Sender<Answer>,
    response: Answer,
}

impl Resumed {
    /// Lets the request go on with the client's response.
    pub(super) fn go_on(self) {
        drop(self.answer.send(self.response));
    }
}

impl Suspended {
    /// Keeps a request until it is repeated; returns the result that asks, and where the response
    /// comes.
    pub(super) fn keep(
        &self,
        request: &Fingerprint,
        call: &Arc<Call>,
        method: &str,
        params: &Object,
    ) -> (Kept<'_>, Object, oneshot::Receiver<Answer>) {
        let state = format!("{STATE}{}", Uuid::new_v4().simple());
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting { request: request.clone(), call: Arc::clone(call), answer };
        self.lock().insert(state.clone(), waiting);
        let result = json!({
            "resultType": "input_required",
            "inputRequests": { KEY: { "method": method, "params": params } },
            "requestState": state,
        });
        let result = result.as_object().cloned().unwrap_or_default();
        (Kept { suspended: self, state }, result, receiver)
    }

    /// The request that `request` repeats; `None` when it repeats none of ours.
    ///
    /// # Errors
    /// When it is not the one that was asked about, or waits no longer.
    pub(super) fn resume(&self, request: &Request) -> Result<Option<Resumed>, RpcError> {
        let Some(Value::String(state)) = request.params.get("requestState") else {
            return Ok(None);
        };
        if !state.starts_with(STATE) {
            return Ok(None);
        }
        let mut waiting = self.lock();
        let same = waiting.get(state).map(|kept| kept.request == Fingerprint::of(request));
        if same == Some(false) {
            return Err(RpcError::invalid_params("`requestState` belongs to another request"));
        }
        let Some(Waiting { call, answer, .. }) = waiting.remove(state) else {
            return Err(RpcError::invalid_params("`requestState` is not waited for any more"));
        };
        Ok(Some(Resumed { call, answer, response: response(request) }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client responded.
fn response(request: &Request) -> Answer {
    let responses = request.params.get("inputResponses");
    match responses.and_then(|responses| responses.get(KEY)) {
        Some(Value::Object(response)) => Ok(response.clone()),
        _ => Err(RpcError::invalid_params("the question was not responded to")),
    }
}

/// A request that is kept. Dropped, it is kept no longer.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    suspended: &'a Suspended,
    state: String,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.suspended.lock().remove(&self.state);
    }
}
