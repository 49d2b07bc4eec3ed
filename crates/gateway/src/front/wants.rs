//! Which notifications a client gets along with a response: those that it asked for.

use bytes::Bytes;
use serde_json::Value;

use sentinel_mcp_protocol::era::meta::{self, LOG_LEVELS};
use sentinel_mcp_protocol::jsonrpc::{Id, Notification, Object, RpcError};
use sentinel_mcp_protocol::method::{Notice, Sender, notice};

/// What one request asks to be told on the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wants {
    /// Its progress is reported under this token; not at all without one.
    progress: Option<Id>,
    /// Messages of the log from this level on; none without one.
    level: Option<usize>,
}

impl Wants {
    /// What the `_meta` of a request asks for.
    pub(super) fn of(params: &Object) -> Result<Self, RpcError> {
        let Some(Value::Object(meta)) = params.get("_meta") else { return Ok(Self::default()) };
        let level = meta.get(meta::LOG_LEVEL).and_then(Value::as_str).and_then(level);
        Ok(Self { progress: meta::progress_token(meta)?, level })
    }

    /// The message to be sent; `None` when the client did not ask for it.
    pub(super) fn message(&self, mut notification: Notification) -> Option<Bytes> {
        match notice(Sender::Server, &notification.method)? {
            Notice::Progress => {
                let token = self.progress.as_ref()?.to_value();
                notification.params.insert(meta::PROGRESS_TOKEN.to_owned(), token);
            }
            Notice::Log => {
                let said = notification.params.get("level").and_then(Value::as_str);
                // A level that does not exist is not above any.
                if said.and_then(level)? < self.level? {
                    return None;
                }
            }
            Notice::ElicitationComplete => {}
            // What belongs to no request has streams of its own.
            _ => return None,
        }
        Some(notification.to_bytes().into())
    }
}

/// The place of a level among all, the lowest first.
pub(super) fn level(name: &str) -> Option<usize> {
    LOG_LEVELS.iter().position(|level| *level == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wants(meta: Value) -> Wants {
        Wants::of(&Object::from_iter([("_meta".to_owned(), meta)])).unwrap()
    }

    fn notification(method: &str, params: Value) -> Notification {
        Notification { method: method.to_owned(), params: serde_json::from_value(params).unwrap() }
    }

    #[test]
    fn progress_comes_under_the_token_of_the_client_or_not_at_all() {
        let progress =
            notification("notifications/progress", json!({"progressToken": 7, "progress": 1}));
        assert_eq!(wants(json!({})).message(progress.clone()), None);
        let told = wants(json!({"progressToken": "mine"})).message(progress).unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["params"]["progressToken"], "mine");
    }

    #[test]
    fn log_messages_come_from_the_level_that_was_asked_for() {
        let log = |level| notification("notifications/message", json!({"level": level}));
        let wanting = wants(json!({"io.modelcontextprotocol/logLevel": "warning"}));
        assert!(wanting.message(log("info")).is_none());
        assert!(wanting.message(log("warning")).is_some());
        assert!(wanting.message(log("emergency")).is_some());
        assert!(wanting.message(log("loud")).is_none());
        assert!(wants(json!({})).message(log("emergency")).is_none());
    }

    #[test]
    fn nothing_else_travels_with_a_response() {
        let wanting = wants(json!({"progressToken": 1}));
        for method in ["notifications/tools/list_changed", "notifications/cancelled", "x/y"] {
            assert!(wanting.message(notification(method, json!({}))).is_none(), "{method}");
        }
    }
}
