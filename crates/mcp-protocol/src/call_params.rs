//! Parameters of the methods that are decided, read strictly. A member that the method does not
//! define is refused: policy would not see it, and the server might act on it.
//!
//! What is decided is what is forwarded: each type is read from parameters and writes them again,
//! and nothing else reaches the server.

use serde_json::Value;

pub use self::members::{MAX_NAME_BYTES, MAX_STATE_BYTES, MAX_URI_BYTES};
use self::members::{Members, put, put_object};
use crate::jsonrpc::{Object, RpcError};

mod completion;
mod lists;
mod members;
#[cfg(test)]
mod tests;

pub use completion::{Completion, Reference};
pub use lists::{Listen, Page, SetLevel};

/// What a retry carries after an `input_required` result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Continuation {
    /// Each is a result, under the key of the request that it responds to.
    pub responses: Option<Object>,
    pub state: Option<String>,
}

impl Continuation {
    fn read(members: &mut Members) -> Result<Self, RpcError> {
        let responses = members.object("inputResponses")?;
        if responses.iter().flat_map(Object::values).any(|response| !response.is_object()) {
            return Err(RpcError::invalid_params("`inputResponses` must contain objects"));
        }
        Ok(Self { responses, state: members.text("requestState", MAX_STATE_BYTES)? })
    }

    fn write(self, params: &mut Object) {
        put_object(params, "inputResponses", self.responses);
        put(params, "requestState", self.state);
    }

    /// Whether this is the first attempt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.responses.is_none() && self.state.is_none()
    }
}

/// `tools/call`.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    pub name: String,
    /// `None` when the client sent none, which is forwarded as such and decided as an empty object.
    pub arguments: Option<Object>,
    pub meta: Option<Object>,
    pub continuation: Continuation,
}

impl ToolCall {
    /// # Errors
    /// `-32602`, when a member is missing, of another type or not defined.
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let call = Self {
            name: members.name("name")?,
            arguments: members.object("arguments")?,
            meta: members.object("_meta")?,
            continuation: Continuation::read(&mut members)?,
        };
        members.end()?;
        Ok(call)
    }

    #[must_use]
    pub fn into_params(self) -> Object {
        let mut params = Object::new();
        put(&mut params, "name", Some(self.name));
        put_object(&mut params, "arguments", self.arguments);
        put_object(&mut params, "_meta", self.meta);
        self.continuation.write(&mut params);
        params
    }
}

/// `prompts/get`.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptGet {
    pub name: String,
    /// All values are strings.
    pub arguments: Option<Object>,
    pub meta: Option<Object>,
    pub continuation: Continuation,
}

impl PromptGet {
    /// # Errors
    /// As [`ToolCall::read`].
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let get = Self {
            name: members.name("name")?,
            arguments: members.texts("arguments")?,
            meta: members.object("_meta")?,
            continuation: Continuation::read(&mut members)?,
        };
        members.end()?;
        Ok(get)
    }

    #[must_use]
    pub fn into_params(self) -> Object {
        let mut params = Object::new();
        put(&mut params, "name", Some(self.name));
        put_object(&mut params, "arguments", self.arguments);
        put_object(&mut params, "_meta", self.meta);
        self.continuation.write(&mut params);
        params
    }

    /// What policy sees as the arguments of the door `prompts`.
    #[must_use]
    pub fn governed(&self) -> Object {
        let mut governed = Object::new();
        governed.insert("name".to_owned(), self.name.as_str().into());
        governed.insert(
            "arguments".to_owned(),
            Value::Object(self.arguments.clone().unwrap_or_default()),
        );
        governed
    }
}

/// `resources/read`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRead {
    pub uri: String,
    pub meta: Option<Object>,
    pub continuation: Continuation,
}

impl ResourceRead {
    /// # Errors
    /// As [`ToolCall::read`].
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let read = Self {
            uri: members.uri("uri")?,
            meta: members.object("_meta")?,
            continuation: Continuation::read(&mut members)?,
        };
        members.end()?;
        Ok(read)
    }

    #[must_use]
    pub fn into_params(self) -> Object {
        let mut params = Object::new();
        put(&mut params, "uri", Some(self.uri));
        put_object(&mut params, "_meta", self.meta);
        self.continuation.write(&mut params);
        params
    }
}

/// `resources/subscribe` and `resources/unsubscribe`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    pub uri: String,
    pub meta: Option<Object>,
}

impl Subscription {
    /// # Errors
    /// As [`ToolCall::read`].
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let subscription = Self { uri: members.uri("uri")?, meta: members.object("_meta")? };
        members.end()?;
        Ok(subscription)
    }

    #[must_use]
    pub fn into_params(self) -> Object {
        let mut params = Object::new();
        put(&mut params, "uri", Some(self.uri));
        put_object(&mut params, "_meta", self.meta);
        params
    }
}
