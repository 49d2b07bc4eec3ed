//! The lists that clients get: the views of all upstreams put together, in pages.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::cursor::{Accepted, Refused, Scope};
use super::fetch::Kind;
use super::shown::{Digest, Shown, digest_of};
pub use super::view::Absent;
use super::view::{View, views};
use crate::client::Client;
use sentinel_mcp_protocol::jsonrpc::{Object, RpcError};

/// Serves one page of a list. Many clients read the first page only, so that it holds all that
/// fits.
///
/// # Errors
/// When the cursor was not given out to this client for this list, or the list has changed since.
/// What policy says never makes a list fail.
pub async fn list(client: &Client, kind: Kind, params: &Object) -> Result<Object, RpcError> {
    let scope = Scope {
        key: &client.route.settings.cursor_key,
        principal: client.authority.principal(),
        kind,
    };
    let cursor = read_cursor(scope, params)?;
    let merged = merge(client, kind).await;
    if kind == Kind::Tools {
        merged.tell_if_empty(client);
    }
    let version = digest_of(merged.items.iter().map(|item| &item.digest));
    let start = match &cursor {
        Some(cursor) => cursor.position(&version).map_err(|refused| refuse(kind, refused))?,
        None => 0,
    };
    let page = page(client, &merged.items, start);
    if kind == Kind::Tools {
        client.show(page);
    }
    let next = start + page.len();
    let cursor = (next < merged.items.len()).then(|| seal(scope, &version, next)).flatten();
    Ok(result(client, kind, page, cursor))
}

/// What a client would be shown of the tools, without showing it.
#[derive(Debug)]
pub struct Survey {
    pub shown: usize,
    /// Tools that policy hides.
    pub hidden: usize,
    /// Upstreams whose tools are missing.
    pub absent: Vec<Absent>,
}

/// Finds out what a client would be shown of the tools.
pub async fn survey(client: &Client) -> Survey {
    let merged = merge(client, Kind::Tools).await;
    merged.tell_if_empty(client);
    let Merged { items, hidden, absent } = merged;
    Survey { shown: items.len(), hidden, absent }
}

struct Merged {
    items: Vec<Arc<Shown>>,
    hidden: usize,
    absent: Vec<Absent>,
}

impl Merged {
    /// Operators hear of an agent that is left without tools.
    fn tell_if_empty(&self, client: &Client) {
        if self.items.is_empty() && self.hidden > 0 {
            client.authority.shown_nothing(self.hidden);
        }
    }
}

async fn merge(client: &Client, kind: Kind) -> Merged {
    let mut merged = Merged { items: Vec::new(), hidden: 0, absent: Vec::new() };
    // Only tools stay listed: of these, clients end a run when one that they know vanishes.
    let kept = if kind == Kind::Tools { client.shown() } else { Vec::new() };
    let mut names = HashSet::new();
    for view in views(client, kind).await {
        match view {
            Ok(view) => {
                merged.hidden += view.hidden;
                merged.items.extend(visible(view, &kept, &mut names));
            }
            Err(absent) => {
                let Absent { upstream, code } = &absent;
                tracing::warn!(upstream, code, list = kind.method(), "an upstream is not listed");
                merged.absent.push(absent);
            }
        }
    }
    merged.items.extend(kept.into_iter().filter(|tool| names.insert(tool.name.clone())));
    merged
}

/// What of a view the client sees: what is visible, and what it has been shown before, as it was
/// shown then.
fn visible(view: View, kept: &[Arc<Shown>], names: &mut HashSet<String>) -> Vec<Arc<Shown>> {
    let seen = view.items.into_iter().filter_map(|seen| {
        if seen.visible {
            return Some(seen.item);
        }
        let at = kept.binary_search_by(|known| known.name.cmp(&seen.item.name)).ok()?;
        kept.get(at).cloned()
    });
    seen.filter(|item| names.insert(item.name.clone())).collect()
}

/// The items from `start` on that one page holds: at least one, where there is one.
fn page<'a>(client: &Client, items: &'a [Arc<Shown>], start: usize) -> &'a [Arc<Shown>] {
    let settings = &client.route.settings;
    let rest = items.get(start..).unwrap_or_default();
    let mut bytes = 0_usize;
    let fits = |item: &&Arc<Shown>| {
        bytes = bytes.saturating_add(item.bytes);
        bytes <= settings.page_bytes
    };
    let count = rest.iter().take(settings.page_items).take_while(fits).count();
    rest.get(..count.max(1)).unwrap_or(rest)
}

fn result(client: &Client, kind: Kind, page: &[Arc<Shown>], next: Option<String>) -> Object {
    let items = page.iter().map(|item| Value::Object((*item.definition).clone())).collect();
    let ttl = client.route.settings.client_ttl.as_millis();
    let mut result = Object::new();
    result.insert("resultType".to_owned(), "complete".into());
    result.insert(kind.member().to_owned(), Value::Array(items));
    // The list is that of one principal, and a kill or a policy may change it at any time.
    result.insert("cacheScope".to_owned(), "private".into());
    result.insert("ttlMs".to_owned(), u64::try_from(ttl).unwrap_or_default().into());
    if let Some(next) = next {
        result.insert("nextCursor".to_owned(), next.into());
    }
    result
}

fn seal(scope: Scope<'_>, version: &Digest, next: usize) -> Option<String> {
    Some(scope.seal(version, u32::try_from(next).ok()?))
}

fn read_cursor(scope: Scope<'_>, params: &Object) -> Result<Option<Accepted>, RpcError> {
    match params.get("cursor") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(cursor)) => {
            scope.accept(cursor).map(Some).map_err(|refused| refuse(scope.kind, refused))
        }
        Some(_) => Err(refuse(scope.kind, Refused::Foreign)),
    }
}

fn refuse(kind: Kind, refused: Refused) -> RpcError {
    let why = match refused {
        Refused::Foreign => "was not given out to this client for this list",
        Refused::Outdated => "belongs to an earlier version of the list; list again without it",
    };
    let message = format!("the cursor of `{}` {why}", kind.method());
    RpcError { code: -32602, message, data: None }
}
