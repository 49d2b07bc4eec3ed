//! `completion/complete`.

use serde_json::Value;

use super::members::{MAX_NAME_BYTES, Members, put, put_object, refuse};
use crate::jsonrpc::{Object, RpcError};

/// The longest value to complete, in bytes.
const MAX_VALUE_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    pub reference: Reference,
    /// The argument to complete.
    pub argument: String,
    /// What has been typed of it.
    pub value: String,
    /// Values of arguments that are known already. All are strings.
    pub known: Option<Object>,
    pub meta: Option<Object>,
}

/// What is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    Prompt {
        name: String,
        title: Option<String>,
    },
    /// The URI, or the template of one.
    Resource {
        uri: String,
    },
}

impl Completion {
    /// # Errors
    /// As [`ToolCall::read`](super::ToolCall::read).
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let reference = Reference::read(required_object(&mut members, "ref")?)?;
        let mut argument = Members::new(required_object(&mut members, "argument")?);
        let completion = Self {
            reference,
            argument: argument.name("name")?,
            value: argument.required("value", MAX_VALUE_BYTES)?,
            known: known(&mut members)?,
            meta: members.object("_meta")?,
        };
        argument.end()?;
        members.end()?;
        Ok(completion)
    }

    #[must_use]
    pub fn into_params(self) -> Object {
        let mut params = Object::new();
        params.insert("ref".to_owned(), Value::Object(self.reference.into_object()));
        let mut argument = Object::new();
        put(&mut argument, "name", Some(self.argument));
        put(&mut argument, "value", Some(self.value));
        params.insert("argument".to_owned(), Value::Object(argument));
        if let Some(known) = self.known {
            let mut context = Object::new();
            context.insert("arguments".to_owned(), Value::Object(known));
            params.insert("context".to_owned(), Value::Object(context));
        }
        put_object(&mut params, "_meta", self.meta);
        params
    }
}

impl Reference {
    fn read(object: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(object);
        let reference = match members.required("type", MAX_NAME_BYTES)?.as_str() {
            "ref/prompt" => Self::Prompt {
                name: members.name("name")?,
                title: members.text("title", MAX_NAME_BYTES)?,
            },
            "ref/resource" => Self::Resource { uri: members.uri("uri")? },
            _ => return Err(refuse("ref", "must be a `ref/prompt` or a `ref/resource`")),
        };
        members.end()?;
        Ok(reference)
    }

    fn into_object(self) -> Object {
        let mut object = Object::new();
        match self {
            Self::Prompt { name, title } => {
                put(&mut object, "type", Some("ref/prompt".to_owned()));
                put(&mut object, "name", Some(name));
                put(&mut object, "title", title);
            }
            Self::Resource { uri } => {
                put(&mut object, "type", Some("ref/resource".to_owned()));
                put(&mut object, "uri", Some(uri));
            }
        }
        object
    }
}

fn known(members: &mut Members) -> Result<Option<Object>, RpcError> {
    let Some(context) = members.object("context")? else { return Ok(None) };
    let mut context = Members::new(context);
    let known = context.texts("arguments")?;
    context.end()?;
    Ok(known)
}

fn required_object(members: &mut Members, key: &str) -> Result<Object, RpcError> {
    members.object(key)?.ok_or_else(|| refuse(key, "is missing"))
}
