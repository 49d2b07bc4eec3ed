//! What a client is shown: an item of a list, under the name that the client knows.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use sentinel_mcp_protocol::jsonrpc::Object;

/// SHA-256 of what identifies an item or a list.
pub(crate) type Digest = [u8; 32];

/// One item of a list. It is shared by all clients that see it.
#[derive(Debug)]
pub struct Shown {
    /// What the client names it by: a name, or a URI.
    pub name: String,
    /// Exactly what the client sees.
    pub definition: Arc<Object>,
    pub(crate) digest: Digest,
    /// Size on the wire.
    pub(crate) bytes: usize,
}

impl Shown {
    pub(crate) fn new(name: String, definition: Object) -> Self {
        Self::sharing(name, &Arc::new(definition))
    }

    /// An item that bears the name already.
    pub(crate) fn sharing(name: String, definition: &Arc<Object>) -> Self {
        let bytes = serde_json::to_vec(&**definition).unwrap_or_default();
        let digest = Sha256::digest(&bytes).into();
        Self { name, definition: Arc::clone(definition), digest, bytes: bytes.len() }
    }

    /// An item under another name.
    pub(crate) fn renamed(name: String, definition: &Object) -> Self {
        let mut definition = definition.clone();
        definition.insert("name".to_owned(), Value::String(name.clone()));
        Self::new(name, definition)
    }
}

/// Identifies a list by its items and their order.
pub(crate) fn digest_of<'a>(items: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let mut hasher = Sha256::new();
    for digest in items {
        hasher.update(digest);
    }
    hasher.finalize().into()
}
