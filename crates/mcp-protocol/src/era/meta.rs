//! The `_meta` that every modern request carries.

use serde_json::Value;

use super::Version;
use crate::jsonrpc::{Id, Object, RpcError};

pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
pub const PROGRESS_TOKEN: &str = "progressToken";

/// Levels of log messages, the lowest first.
pub const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What the `_meta` of one modern request says of its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientMeta {
    pub version: Version,
    /// `clientInfo`; empty when the client does not introduce itself.
    pub info: Object,
    pub capabilities: Object,
    /// Lowest level of log messages that the client wants; without it, it wants none.
    pub log_level: Option<String>,
    pub progress_token: Option<Id>,
}

/// The version that the `_meta` of `params` states, supported or not; `None` when the request does
/// not have the modern form.
#[must_use]
pub fn stated_version(params: &Object) -> Option<&str> {
    params.get("_meta")?.get(PROTOCOL_VERSION)?.as_str()
}

/// Whether a request is to be read as a modern one. It is when it carries any of the modern
/// members, so that a request that lacks one of them is refused instead of being read as legacy.
#[must_use]
pub fn is_modern(method: &str, params: &Object) -> bool {
    let carries = |key: &str| params.get("_meta").is_some_and(|meta| meta.get(key).is_some());
    method == "server/discover" || carries(PROTOCOL_VERSION) || carries(CLIENT_CAPABILITIES)
}

impl ClientMeta {
    /// Takes version, capabilities and client information out of the `_meta` of `params`. What
    /// remains there belongs to the request and goes on to the server, the log level and the
    /// progress token included; an empty `_meta` is removed.
    ///
    /// # Errors
    /// `-32602` when a required member is missing or malformed, `-32022` when the version is not a
    /// supported modern one.
    pub fn take(params: &mut Object) -> Result<Self, RpcError> {
        let mut meta = match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            Some(_) => return Err(RpcError::invalid_params("`_meta` must be an object")),
            None => return Err(missing("_meta")),
        };
        let taken = Self::take_members(&mut meta)?;
        if !meta.is_empty() {
            params.insert("_meta".to_owned(), Value::Object(meta));
        }
        Ok(taken)
    }

    fn take_members(meta: &mut Object) -> Result<Self, RpcError> {
        let stated = text(meta, PROTOCOL_VERSION)?.ok_or_else(|| missing(PROTOCOL_VERSION))?;
        let version = Version::parse(&stated)
            .filter(|version| version.era() == super::Era::Modern)
            .ok_or_else(|| RpcError::unsupported_version(&stated, &Version::names()))?;
        Ok(Self {
            version,
            capabilities: object(meta, CLIENT_CAPABILITIES)?
                .ok_or_else(|| missing(CLIENT_CAPABILITIES))?,
            info: object(meta, CLIENT_INFO)?.unwrap_or_default(),
            log_level: log_level(meta)?,
            progress_token: progress_token(meta)?,
        })
    }
}

/// The progress token of a `_meta`, of either era.
///
/// # Errors
/// `-32602` when it is neither a short string nor an integer.
pub fn progress_token(meta: &Object) -> Result<Option<Id>, RpcError> {
    let Some(token) = meta.get(PROGRESS_TOKEN) else { return Ok(None) };
    let token = Id::from_value(token);
    let refused = || RpcError::invalid_params("`progressToken` must be a string or an integer");
    token.map(Some).ok_or_else(refused)
}

/// Writes the members of the protocol into the `_meta` of a request to a modern server.
///
/// # Errors
/// `-32602` when `params` has a `_meta` that is not an object.
pub fn write_meta(params: &mut Object, client: &ClientMeta) -> Result<(), RpcError> {
    let entry = params.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
    let Value::Object(meta) = entry else {
        return Err(RpcError::invalid_params("`_meta` must be an object"));
    };
    meta.insert(PROTOCOL_VERSION.to_owned(), client.version.as_str().into());
    meta.insert(CLIENT_CAPABILITIES.to_owned(), Value::Object(client.capabilities.clone()));
    if !client.info.is_empty() {
        meta.insert(CLIENT_INFO.to_owned(), Value::Object(client.info.clone()));
    }
    if let Some(level) = &client.log_level {
        meta.insert(LOG_LEVEL.to_owned(), level.as_str().into());
    }
    if let Some(token) = &client.progress_token {
        meta.insert(PROGRESS_TOKEN.to_owned(), token.to_value());
    }
    Ok(())
}

fn log_level(meta: &Object) -> Result<Option<String>, RpcError> {
    match meta.get(LOG_LEVEL) {
        None => Ok(None),
        Some(Value::String(level)) if LOG_LEVELS.contains(&level.as_str()) => {
            Ok(Some(level.clone()))
        }
        Some(_) => Err(RpcError::invalid_params(format!("`{LOG_LEVEL}` is not a level"))),
    }
}

fn text(meta: &mut Object, key: &str) -> Result<Option<String>, RpcError> {
    match meta.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RpcError::invalid_params(format!("`{key}` must be a string"))),
    }
}

fn object(meta: &mut Object, key: &str) -> Result<Option<Object>, RpcError> {
    match meta.remove(key) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(RpcError::invalid_params(format!("`{key}` must be an object"))),
    }
}

fn missing(key: &str) -> RpcError {
    RpcError::invalid_params(format!("`{key}` is missing in the request"))
}
