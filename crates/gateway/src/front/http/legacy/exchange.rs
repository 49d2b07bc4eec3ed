//! The client's side of a request in a session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::exchange::Exchange;
use crate::front::http::feed::Feed;
use crate::front::wants::Wants;
use sentinel_mcp_protocol::jsonrpc::{Notification, Object, Request, RpcError};

#[derive(Debug)]
pub(super) struct LegacyExchange {
    pub(super) session: Arc<Session>,
    pub(super) feed: Arc<Feed>,
    pub(super) wants: Wants,
    pub(super) cancel: CancellationToken,
    /// How long the client may take to answer a question.
    pub(super) patience: Duration,
}

#[async_trait]
impl Exchange for LegacyExchange {
    async fn notify(&self, notification: Notification) {
        if let Some(message) = self.wants.message(notification) {
            self.feed.tell(message);
        }
    }

    fn capabilities(&self) -> Object {
        Object::clone(&self.session.capabilities)
    }

    fn can_ask(&self) -> bool {
        true
    }

    async fn ask(&self, method: &str, params: Object) -> Result<Object, RpcError> {
        require(&self.session.capabilities, method, &params)?;
        let busy = || RpcError::internal("too many questions to the client wait already");
        let question = self.session.questions.open().ok_or_else(busy)?;
        let request = Request { id: question.id.clone(), method: method.to_owned(), params };
        if !self.feed.ask(request.to_bytes().into()) {
            return Err(busy());
        }
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(RpcError::internal("the request was cancelled")),
            answer = question.answer() => answer,
            () = tokio::time::sleep(self.patience) => {
                Err(RpcError::internal("the client did not answer the question"))
            }
        }
    }

    async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }
}

/// Refuses a question that the client did not declare to be able to answer.
pub(in crate::front::http) fn require(
    capabilities: &Object,
    method: &str,
    params: &Object,
) -> Result<(), RpcError> {
    let missing = |what: &str, required: Value| Err(RpcError::missing_capability(what, &required));
    match method {
        "sampling/createMessage" if !capabilities.contains_key("sampling") => {
            missing("sampling", json!({ "sampling": {} }))
        }
        "roots/list" if !capabilities.contains_key("roots") => {
            missing("roots", json!({ "roots": {} }))
        }
        "elicitation/create" => {
            let mode = params.get("mode").and_then(Value::as_str).unwrap_or("form");
            let Some(Value::Object(modes)) = capabilities.get("elicitation") else {
                return missing("elicitation", json!({ "elicitation": {} }));
            };
            // An empty object is how a client says `form` that knows no other mode.
            if modes.contains_key(mode) || (mode == "form" && modes.is_empty()) {
                return Ok(());
            }
            missing("elicitation", json!({ "elicitation": { mode: {} } }))
        }
        "sampling/createMessage" | "roots/list" => Ok(()),
        _ => Err(RpcError::method_not_found(method, "no client can be asked this")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(capabilities: &Value, method: &str, params: &Value) -> bool {
        let capabilities = capabilities.as_object().unwrap();
        require(capabilities, method, params.as_object().unwrap()).is_ok()
    }

    #[test]
    fn only_what_the_client_declared_is_asked() {
        for (method, capability) in [
            ("sampling/createMessage", json!({"sampling": {}})),
            ("roots/list", json!({"roots": {}})),
            ("elicitation/create", json!({"elicitation": {}})),
        ] {
            assert!(allowed(&capability, method, &json!({})), "{method}");
            assert!(!allowed(&json!({}), method, &json!({})), "{method}");
        }
        assert!(!allowed(&json!({"sampling": {}}), "tools/call", &json!({})));
    }

    #[test]
    fn elicitation_is_asked_in_a_mode_that_the_client_knows() {
        let ask = |modes: Value, mode: &str| {
            allowed(&json!({"elicitation": modes}), "elicitation/create", &json!({"mode": mode}))
        };
        assert!(ask(json!({}), "form") && !ask(json!({}), "url"));
        assert!(ask(json!({"url": {}}), "url") && !ask(json!({"url": {}}), "form"));
    }
}
