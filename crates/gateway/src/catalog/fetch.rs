//! Reads one list of an upstream, following its pages to the end.

use std::collections::HashSet;
use std::sync::Arc;

use sentinel_core::json;
use serde_json::Value;

use super::settings::Settings;
use crate::authority::Grant;
use crate::exchange::Unattended;
use crate::upstream::{Failure, Outbound, Reply, Upstream};
use sentinel_mcp_protocol::jsonrpc::Object;

/// A list that MCP servers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of a result that holds the items.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The capability that a server with such a list declares.
    pub(crate) const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// The notification that such a list has changed.
    #[must_use]
    pub const fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }

    /// The member by which an item is identified.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

/// All items of one list, as the server sent them.
pub(crate) async fn fetch(
    upstream: &Arc<dyn Upstream>,
    kind: Kind,
    settings: &Settings,
) -> Result<Vec<Value>, Failure> {
    let server = upstream.server().await?;
    if !server.capabilities.contains_key(kind.capability()) {
        return Ok(Vec::new());
    }
    let mut list = List::new(upstream.name(), kind, settings);
    let mut cursor = None;
    loop {
        match request_page(upstream, kind, cursor.take()).await? {
            Some(page) => cursor = list.add(page)?,
            None => return Ok(list.items),
        }
        if cursor.is_none() {
            return Ok(list.items);
        }
    }
}

/// One page; `None` when the server does not know the method.
async fn request_page(
    upstream: &Arc<dyn Upstream>,
    kind: Kind,
    cursor: Option<String>,
) -> Result<Option<Object>, Failure> {
    let mut params = Object::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), Value::String(cursor));
    }
    let outbound = Outbound { method: kind.method().to_owned(), params, grant: Grant::lifecycle() };
    match upstream.request(outbound, &Unattended).await? {
        Reply::Result(page) => Ok(Some(page)),
        Reply::Error(error) if error.code == METHOD_UNKNOWN => Ok(None),
        Reply::Error(error) => Err(protocol(format!(
            "the server refused `{}` with error {}",
            kind.method(),
            error.code
        ))),
        Reply::InputRequired(_) => {
            Err(protocol(format!("the server wants input for `{}`", kind.method())))
        }
    }
}

const METHOD_UNKNOWN: i64 = -32601;
/// The longest cursor of a server that is sent back to it.
const LONGEST_CURSOR: usize = 8 * 1024;

fn protocol(detail: String) -> Failure {
    Failure { code: "upstream_protocol", detail, may_have_run: false }
}

/// A list that is being read.
struct List<'a> {
    upstream: &'a str,
    kind: Kind,
    settings: &'a Settings,
    items: Vec<Value>,
    bytes: usize,
    pages: usize,
    /// Cursors that were followed already: a server that repeats one would be read for ever.
    followed: HashSet<String>,
}

impl<'a> List<'a> {
    fn new(upstream: &'a str, kind: Kind, settings: &'a Settings) -> Self {
        let (items, followed) = (Vec::new(), HashSet::new());
        Self { upstream, kind, settings, items, bytes: 0, pages: 0, followed }
    }

    /// Adds a page, and returns the cursor of the next one.
    fn add(&mut self, mut page: Object) -> Result<Option<String>, Failure> {
        let member = self.kind.member();
        let Some(Value::Array(items)) = page.remove(member) else {
            return Err(protocol(format!("the result of the server has no array `{member}`")));
        };
        self.pages += 1;
        for item in items {
            self.bytes = self.bytes.saturating_add(weight(&item));
            if self.items.len() >= self.settings.max_items || self.bytes > self.settings.max_bytes {
                self.cut("is too long");
                return Ok(None);
            }
            self.items.push(item);
        }
        Ok(self.next(page.remove("nextCursor")))
    }

    fn next(&mut self, cursor: Option<Value>) -> Option<String> {
        let Some(Value::String(cursor)) = cursor else { return None };
        if cursor.is_empty() {
            return None;
        }
        if self.pages >= self.settings.max_pages || cursor.len() > LONGEST_CURSOR {
            self.cut("has too many pages");
            return None;
        }
        if !self.followed.insert(cursor.clone()) {
            self.cut("repeats a cursor");
            return None;
        }
        Some(cursor)
    }

    fn cut(&self, why: &str) {
        let (upstream, list, kept) = (self.upstream, self.kind.method(), self.items.len());
        tracing::warn!(upstream, list, kept, "the list of an upstream {why}; the rest is left out");
    }
}

/// Approximate memory of an item.
fn weight(item: &Value) -> usize {
    match item {
        Value::Object(fields) => json::weight(fields),
        other => other.to_string().len(),
    }
}
