//! Parameters of requests that need no decision of their own.

use serde_json::Value;

use super::members::{MAX_URI_BYTES, Members, refuse};
use crate::era::meta::LOG_LEVELS;
use crate::jsonrpc::{Object, RpcError};

/// The longest cursor, in bytes.
const MAX_CURSOR_BYTES: usize = 8 * 1024;
/// Resources that one stream may be subscribed to.
const MAX_SUBSCRIPTIONS: usize = 1000;

/// `tools/list`, `prompts/list`, `resources/list` and `resources/templates/list`.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub cursor: Option<String>,
    pub meta: Option<Object>,
}

impl Page {
    /// # Errors
    /// As [`ToolCall::read`](super::ToolCall::read).
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let page = Self {
            cursor: members.text("cursor", MAX_CURSOR_BYTES)?,
            meta: members.object("_meta")?,
        };
        members.end()?;
        Ok(page)
    }
}

/// `logging/setLevel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLevel {
    pub level: String,
}

impl SetLevel {
    /// # Errors
    /// As [`ToolCall::read`](super::ToolCall::read); also for a level that does not exist.
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let level = members.required("level", 16)?;
        members.object("_meta")?;
        members.end()?;
        if !LOG_LEVELS.contains(&level.as_str()) {
            return Err(refuse("level", "is not a level of the log"));
        }
        Ok(Self { level })
    }
}

/// `subscriptions/listen`: what the client wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    pub tools: bool,
    pub prompts: bool,
    pub resources: bool,
    /// URIs of resources.
    pub updates: Vec<String>,
}

impl Listen {
    /// Reads the filter. Kinds of notifications that the gateway does not govern are left out,
    /// and the acknowledgement says so.
    ///
    /// # Errors
    /// As [`ToolCall::read`](super::ToolCall::read).
    pub fn read(params: Object) -> Result<Self, RpcError> {
        let mut members = Members::new(params);
        let filter = members.object("notifications")?;
        members.object("_meta")?;
        members.end()?;
        let mut filter = Members::new(filter.ok_or_else(|| refuse("notifications", "is missing"))?);
        Ok(Self {
            tools: filter.flag("toolsListChanged")?,
            prompts: filter.flag("promptsListChanged")?,
            resources: filter.flag("resourcesListChanged")?,
            updates: uris(filter.take("resourceSubscriptions"))?,
        })
    }

    /// The filter as the acknowledgement repeats it.
    #[must_use]
    pub fn to_filter(&self) -> Object {
        let mut filter = Object::new();
        for (key, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                filter.insert(key.to_owned(), Value::Bool(true));
            }
        }
        if !self.updates.is_empty() {
            filter.insert("resourceSubscriptions".to_owned(), self.updates.clone().into());
        }
        filter
    }
}

fn uris(value: Option<Value>) -> Result<Vec<String>, RpcError> {
    const KEY: &str = "resourceSubscriptions";
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(refuse(KEY, "must be an array")),
    };
    if items.len() > MAX_SUBSCRIPTIONS {
        return Err(refuse(KEY, "has more than 1000 entries"));
    }
    let uri = |item| match item {
        Value::String(uri)
            if (1..=MAX_URI_BYTES).contains(&uri.len()) && !uri.contains(char::is_control) =>
        {
            Ok(uri)
        }
        _ => Err(refuse(KEY, "must contain uris")),
    };
    items.into_iter().map(uri).collect()
}
