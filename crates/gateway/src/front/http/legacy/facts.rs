//! What a session is, sealed into its id: any replica can go on with it.

use sentinel_core::principal::Principal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::front::http::seal::{Seal, Sealed};
use crate::gateway::Speaker;
use sentinel_mcp_protocol::jsonrpc::Object;

/// The longest content of an id, in bytes: it is sent with each request, in a header.
const MAX_BYTES: usize = 2048;
/// No sealed id is longer.
const MAX_SEALED: usize = 2 * MAX_BYTES;
/// Characters of a name that a client introduces itself by.
const MAX_NAME: usize = 128;
/// Seconds after which a session ends, whatever happens in it.
const LIFETIME: i64 = 24 * 3600;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) id: Uuid,
    /// Principal, tenant, agent and endpoint: a session serves no other.
    pub(super) party: Party,
    pub(super) version: String,
    pub(super) info: Object,
    /// Those that are governed, which are few.
    pub(super) capabilities: Object,
    /// Seconds since 1970.
    pub(super) issued: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::front::http) struct Party {
    principal: String,
    tenant: Uuid,
    agent: Option<String>,
    upstream: Option<String>,
}

impl Party {
    pub(in crate::front::http) fn of(speaker: &Speaker, upstream: Option<&str>) -> Self {
        Self {
            principal: credential(&speaker.principal),
            tenant: speaker.tenant.id.0,
            agent: speaker.agent.as_ref().map(|agent| agent.folded().as_str().to_owned()),
            upstream: upstream.map(str::to_owned),
        }
    }

    pub(super) fn principal(&self) -> &str {
        &self.principal
    }
}

/// The credential, not the identity: two keys of one owner have a session each.
fn credential(principal: &Principal) -> String {
    principal.key().map_or_else(|| principal.id(), |key| format!("key:{}", key.id))
}

impl Facts {
    /// The id under which the client knows the session; `None` when the cipher fails.
    pub(super) fn seal(&mut self, seal: &Seal) -> Option<String> {
        let mut content = serde_json::to_vec(self).ok()?;
        if content.len() > MAX_BYTES {
            self.shorten();
            content = serde_json::to_vec(self).ok()?;
        }
        if content.len() > MAX_BYTES {
            return None;
        }
        seal.seal(Sealed::Session, &content)
    }

    /// What the id says, unless it is not one of ours or is over.
    pub(super) fn open(seal: &Seal, id: &str, now: i64) -> Option<Self> {
        if id.len() > MAX_SEALED {
            return None;
        }
        let facts: Self = serde_json::from_slice(&seal.open(Sealed::Session, id)?).ok()?;
        (now < facts.issued.saturating_add(LIFETIME)).then_some(facts)
    }

    /// Keeps of a client's introduction what the gateway uses.
    fn shorten(&mut self) {
        let text = |key| self.info.get(key).and_then(Value::as_str);
        let cut = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
        let kept = ["name", "version"].into_iter().filter_map(|key| Some((key, cut(text(key)?))));
        self.info = kept.map(|(key, text)| (key.to_owned(), text.into())).collect();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(info: &Value, capabilities: &Value) -> Facts {
        Facts {
            id: Uuid::from_u128(1),
            party: Party {
                principal: "key:1".to_owned(),
                tenant: Uuid::from_u128(2),
                agent: Some("agent".to_owned()),
                upstream: None,
            },
            version: "2025-11-25".to_owned(),
            info: info.as_object().unwrap().clone(),
            capabilities: capabilities.as_object().unwrap().clone(),
            issued: 1_000,
        }
    }

    #[test]
    fn a_session_is_read_from_its_id_until_it_is_over() {
        let seal = Seal::new(&[1; 32]).unwrap();
        let mut facts = facts(&json!({"name": "c", "x": [1]}), &json!({"sampling": {}}));
        let id = facts.seal(&seal).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(Facts::open(&seal, &id, 1_000), Some(facts.clone()));
        assert_eq!(Facts::open(&seal, &id, 1_000 + LIFETIME - 1), Some(facts));
        assert_eq!(Facts::open(&seal, &id, 1_000 + LIFETIME), None);
        assert_eq!(Facts::open(&Seal::new(&[2; 32]).unwrap(), &id, 1_000), None);
        assert_eq!(Facts::open(&seal, &"A".repeat(MAX_SEALED + 1), 1_000), None);
    }

    #[test]
    fn what_a_client_says_of_itself_does_not_make_the_id_long() {
        let seal = Seal::new(&[1; 32]).unwrap();
        let long = "é".repeat(5_000);
        let capabilities = json!({"elicitation": {"form": {}, "url": {}}});
        let info = json!({"name": long, "version": long, "icons": [long]});
        let mut facts = facts(&info, &capabilities);
        let id = facts.seal(&seal).unwrap();
        assert!(id.len() < MAX_SEALED, "{}", id.len());
        let read = Facts::open(&seal, &id, 1_000).unwrap();
        assert_eq!(Value::from(read.capabilities), capabilities);
        assert_eq!(read.info["name"].as_str().unwrap().chars().count(), MAX_NAME);
    }
}
