//! Between the modern shapes of the gateway and what a server of either era reads and writes.

use serde_json::{Value, json};

use super::wire::Answer;
use super::{Failure, Reply};
use sentinel_mcp_protocol::era::meta::{
    CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROGRESS_TOKEN, PROTOCOL_VERSION,
};
use sentinel_mcp_protocol::era::{Era, Version};
use sentinel_mcp_protocol::jsonrpc::Object;

/// Keys of `_meta` that belong to one hop: those of the protocol, and our own.
const RESERVED: [&str; 2] = ["io.modelcontextprotocol/", "sentinel/"];

/// What a client may be asked for; nothing else is declared to a server.
const GOVERNED: [&str; 3] = ["elicitation", "roots", "sampling"];

/// How to talk to a server: the revision that the handshake agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect(pub(super) Version);

impl Dialect {
    pub(super) fn is_modern(self) -> bool {
        self.0.era() == Era::Modern
    }

    /// Writes the `_meta` of a request for the server, and returns the progress token that was there.
    /// The server sees the token `id`, which no other request has.
    pub(super) fn address(
        self,
        params: &mut Object,
        id: i64,
        capabilities: Object,
    ) -> Option<Value> {
        let mut meta = match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            _ => Object::new(),
        };
        let log_level = meta.remove(LOG_LEVEL).filter(Value::is_string);
        meta.retain(|key, _| !RESERVED.iter().any(|prefix| key.starts_with(prefix)));
        let progress = meta.remove(PROGRESS_TOKEN);
        if progress.is_some() {
            meta.insert(PROGRESS_TOKEN.to_owned(), id.into());
        }
        if self.is_modern() {
            meta.extend(modern_meta(capabilities));
            meta.extend(log_level.map(|level| (LOG_LEVEL.to_owned(), level)));
        } else {
            // Legacy servers do not know these, and they belong to another hop.
            params.remove("inputResponses");
            params.remove("requestState");
        }
        if !meta.is_empty() {
            params.insert("_meta".to_owned(), Value::Object(meta));
        }
        progress
    }

    /// The reply in its modern shape.
    ///
    /// # Errors
    /// When the server responded with a kind of result that is not governed.
    pub(super) fn reply(self, method: &str, answer: Answer) -> Result<Reply, Failure> {
        let mut result = match answer {
            Ok(result) => result,
            Err(error) => return Ok(Reply::Error(error)),
        };
        if !self.is_modern() {
            // Whatever a legacy server has under this name means something else.
            result.insert("resultType".to_owned(), "complete".into());
            modern_cache_hints(method, &mut result);
            return Ok(Reply::Result(result));
        }
        match result.get("resultType").map(Value::as_str) {
            Some(Some("input_required")) => return Ok(Reply::InputRequired(result)),
            Some(Some("complete")) => {}
            None => {
                result.insert("resultType".to_owned(), "complete".into());
            }
            Some(_) => {
                let detail = "the server responded with a kind of result that is not governed";
                return Err(Failure {
                    code: "upstream_protocol",
                    detail: detail.to_owned(),
                    may_have_run: true,
                });
            }
        }
        modern_cache_hints(method, &mut result);
        Ok(Reply::Result(result))
    }
}

/// What every request of the modern era carries.
pub(super) fn modern_meta(capabilities: Object) -> Object {
    let mut meta = Object::new();
    meta.insert(PROTOCOL_VERSION.to_owned(), Version::NEWEST_MODERN.as_str().into());
    meta.insert(CLIENT_INFO.to_owned(), client_info());
    meta.insert(CLIENT_CAPABILITIES.to_owned(), Value::Object(governed(capabilities)));
    meta
}

/// The capabilities of a client of which the gateway governs the use.
pub(super) fn governed(mut capabilities: Object) -> Object {
    capabilities.retain(|key, value| GOVERNED.contains(&key.as_str()) && value.is_object());
    capabilities
}

/// How the gateway introduces itself.
pub(super) fn client_info() -> Value {
    json!({ "name": "sentinel", "version": env!("CARGO_PKG_VERSION") })
}

/// Results that the modern era requires to state how long they may be kept. What a server does not
/// state is not kept.
fn modern_cache_hints(method: &str, result: &mut Object) {
    let cached = matches!(
        method,
        "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    );
    if cached {
        result.entry("ttlMs").or_insert_with(|| 0.into());
        result.entry("cacheScope").or_insert_with(|| "private".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: Dialect = Dialect(Version::V2025_06_18);
    const MODERN: Dialect = Dialect(Version::V2026_07_28);

    fn object(value: &Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_request_carries_the_meta_of_its_hop_only() {
        let sent = json!({
            "name": "n",
            "inputResponses": {},
            "requestState": "s",
            "_meta": {
                "progressToken": "client",
                "traceparent": "00-1",
                "sentinel/purpose": "p",
                "io.modelcontextprotocol/clientInfo": {"name": "client"},
                "io.modelcontextprotocol/logLevel": "debug",
                "io.modelcontextprotocol/related-task": {"taskId": "1"},
            },
        });
        let mut params = object(&sent);
        let token = LEGACY.address(&mut params, 7, Object::new());
        assert_eq!(token, Some("client".into()));
        let expected = json!({"name": "n", "_meta": {"progressToken": 7, "traceparent": "00-1"}});
        assert_eq!(Value::Object(params), expected);

        let mut params = object(&sent);
        let capabilities = object(&json!({"sampling": {}, "experimental": {}, "roots": true}));
        MODERN.address(&mut params, 8, capabilities);
        assert_eq!(params["requestState"], "s");
        let meta = object(&params["_meta"]);
        assert_eq!(meta[PROTOCOL_VERSION], "2026-07-28");
        assert_eq!(meta[CLIENT_INFO]["name"], "sentinel");
        assert_eq!(meta[CLIENT_CAPABILITIES], json!({"sampling": {}}));
        assert_eq!(meta[LOG_LEVEL], "debug");
        assert_eq!(meta["progressToken"], 8);
        assert!(!meta.contains_key("io.modelcontextprotocol/related-task"));
    }

    #[test]
    fn a_request_without_meta_gets_none_in_the_legacy_era() {
        let mut params = object(&json!({"name": "n"}));
        let token = LEGACY.address(&mut params, 7, Object::new());
        assert_eq!((token, Value::Object(params)), (None, json!({"name": "n"})));
    }

    #[test]
    fn results_are_of_the_modern_shape() {
        let spoof = object(&json!({"resultType": "input_required", "content": []}));
        let Ok(Reply::Result(result)) = LEGACY.reply("tools/call", Ok(spoof)) else {
            panic!("a legacy server cannot ask this way")
        };
        assert_eq!(result["resultType"], "complete");
        assert!(!result.contains_key("ttlMs"));
        let Ok(Reply::Result(list)) = LEGACY.reply("tools/list", Ok(Object::new())) else {
            panic!("not a result")
        };
        assert_eq!((&list["ttlMs"], &list["cacheScope"]), (&json!(0), &json!("private")));

        let asks = object(&json!({"resultType": "input_required", "inputRequests": {}}));
        assert!(matches!(MODERN.reply("tools/call", Ok(asks)), Ok(Reply::InputRequired(_))));
        for ungoverned in [json!({"resultType": "task"}), json!({"resultType": 1})] {
            let failure = MODERN.reply("tools/call", Ok(object(&ungoverned))).unwrap_err();
            assert!(failure.may_have_run);
        }
    }
}
