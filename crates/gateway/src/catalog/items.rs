//! Prompts, resources and resource templates of one upstream.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use sentinel_core::name::{qualified, unqualified};
use serde_json::Value;

use super::fetch::Kind;
use super::shown::{Digest, Shown, digest_of};
use super::uris;
use sentinel_mcp_protocol::jsonrpc::Object;

/// Items of one kind.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) all: Vec<Item>,
}

#[derive(Debug)]
pub(crate) struct Item {
    /// What the server identifies it by.
    pub(crate) key: String,
    plain: Arc<Shown>,
    prefixed: OnceLock<Option<Arc<Shown>>>,
}

impl Items {
    /// Reads what a server lists. What clients would trip over is left out.
    pub(crate) fn read(kind: Kind, upstream: &str, listed: Vec<Value>) -> Self {
        let count = listed.len();
        let mut taken = HashSet::new();
        let items = listed.into_iter().filter_map(|item| Item::read(kind, item));
        let all: Vec<_> = items.filter(|item| taken.insert(item.key.clone())).collect();
        if all.len() < count {
            let (list, left_out) = (kind.method(), count - all.len());
            tracing::warn!(
                upstream,
                list,
                left_out,
                "items of an upstream are malformed or double"
            );
        }
        Self { all }
    }

    /// Changes when any item changes.
    pub(crate) fn version(&self) -> Digest {
        digest_of(self.all.iter().map(|item| &item.plain.digest))
    }

    /// The item that clients know by `name` where only this upstream is shown.
    pub(crate) fn find_plain(&self, name: &str) -> Option<&Item> {
        self.all.iter().find(|item| item.plain.name == name)
    }

    /// The item that clients know by `name` beside other upstreams.
    pub(crate) fn find_prefixed(&self, upstream: &str, name: &str) -> Option<&Item> {
        self.all
            .iter()
            .find(|item| qualified(upstream, &item.key).is_ok_and(|own| own.as_str() == name))
    }
}

impl Item {
    fn read(kind: Kind, item: Value) -> Option<Self> {
        let Value::Object(mut item) = item else { return None };
        item.retain(|_, value| !value.is_null());
        let key = item.get(kind.key())?.as_str()?.to_owned();
        if kind != Kind::Prompts && is_user_interface(&key) {
            return None;
        }
        let named = item.get("name").is_some_and(Value::is_string);
        if !named || ["title", "description"].iter().any(|member| is_not_text(&item, member)) {
            return None;
        }
        let name = if kind == Kind::Prompts { unqualified(&key).ok()? } else { key.clone() };
        let plain = Arc::new(shown(kind, name, &item));
        Some(Self { key, plain, prefixed: OnceLock::new() })
    }

    /// What a client sees of it; `None` when it cannot be named.
    pub(crate) fn shown(&self, kind: Kind, upstream: &str, prefixed: bool) -> Option<Arc<Shown>> {
        if !prefixed {
            return Some(Arc::clone(&self.plain));
        }
        let made = self.prefixed.get_or_init(|| {
            let name = match kind {
                Kind::Tools | Kind::Prompts => qualified(upstream, &self.key).ok()?.to_string(),
                Kind::Resources | Kind::Templates => uris::outward(upstream, &self.key),
            };
            Some(Arc::new(shown(kind, name, &self.plain.definition)))
        });
        made.clone()
    }
}

fn shown(kind: Kind, name: String, item: &Object) -> Shown {
    let mut item = item.clone();
    item.insert(kind.key().to_owned(), Value::String(name.clone()));
    Shown::new(name, item)
}

fn is_not_text(item: &Object, member: &str) -> bool {
    item.get(member).is_some_and(|value| !value.is_string())
}

/// Whether a URI is one of the extension for user interfaces.
pub(crate) fn is_user_interface(uri: &str) -> bool {
    let scheme = uri.trim_start().get(..uris::USER_INTERFACE.len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(uris::USER_INTERFACE))
}
