//! Takes members out of an object one by one, and refuses what remains.

use serde_json::Value;

use crate::jsonrpc::{Object, RpcError, excerpt};

/// The longest name of a tool, prompt or argument, in bytes. Servers may use 128 characters; the
/// gateway adds a prefix.
pub const MAX_NAME_BYTES: usize = 512;
pub const MAX_URI_BYTES: usize = 8 * 1024;
/// The longest `requestState`, in bytes: it contains sealed state of the server.
pub const MAX_STATE_BYTES: usize = 256 * 1024;

pub(super) struct Members(Object);

impl Members {
    pub(super) fn new(params: Object) -> Self {
        Self(params)
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Object>, RpcError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(refuse(key, "must be an object")),
        }
    }

    /// An object whose values are strings.
    pub(super) fn texts(&mut self, key: &str) -> Result<Option<Object>, RpcError> {
        let texts = self.object(key)?;
        if texts.iter().flat_map(Object::values).any(|value| !value.is_string()) {
            return Err(refuse(key, "must contain strings only"));
        }
        Ok(texts)
    }

    pub(super) fn text(&mut self, key: &str, max: usize) -> Result<Option<String>, RpcError> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(Value::String(_)) => Err(refuse(key, "is too long")),
            Some(_) => Err(refuse(key, "must be a string")),
        }
    }

    pub(super) fn required(&mut self, key: &str, max: usize) -> Result<String, RpcError> {
        self.text(key, max)?.ok_or_else(|| refuse(key, "is missing"))
    }

    /// A name or URI is repeated in logs and headers, so it has no control characters.
    pub(super) fn name(&mut self, key: &str) -> Result<String, RpcError> {
        self.identifier(key, MAX_NAME_BYTES)
    }

    pub(super) fn uri(&mut self, key: &str) -> Result<String, RpcError> {
        self.identifier(key, MAX_URI_BYTES)
    }

    fn identifier(&mut self, key: &str, max: usize) -> Result<String, RpcError> {
        let text = self.required(key, max)?;
        if text.is_empty() {
            return Err(refuse(key, "is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(refuse(key, "contains control characters"));
        }
        Ok(text)
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, RpcError> {
        match self.0.remove(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(refuse(key, "must be a boolean")),
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// Refuses whatever has not been taken.
    pub(super) fn end(self) -> Result<(), RpcError> {
        match self.0.keys().next().map(String::as_str) {
            None => Ok(()),
            Some("task") => Err(refuse("task", "asks for a task; tasks are not governed yet")),
            Some(key) => Err(refuse(&excerpt(key), "is not defined for this method")),
        }
    }
}

pub(super) fn refuse(key: &str, why: &str) -> RpcError {
    RpcError::invalid_params(format!("`{key}` {why}"))
}

pub(super) fn put(params: &mut Object, key: &str, text: Option<String>) {
    if let Some(text) = text {
        params.insert(key.to_owned(), Value::String(text));
    }
}

pub(super) fn put_object(params: &mut Object, key: &str, object: Option<Object>) {
    if let Some(object) = object {
        params.insert(key.to_owned(), Value::Object(object));
    }
}
