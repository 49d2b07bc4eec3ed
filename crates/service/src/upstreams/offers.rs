//! What an upstream offers: each definition in a form that can be compared with its pin.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sentinel_core::control::ControlState;
use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::name::{ToolName, qualified};
use sentinel_core::pin::{DefinitionDigest, Pin};
use sentinel_core::ports::PinChange;
use sentinel_core::tool::Tool;
use sentinel_core::upstream::{Door, Upstream, refused_name};
use serde_json::{Map, Value, json};

use super::{METADATA, ToolDefect, address, owner, unnameable};
use crate::ServiceError;
use crate::ids::new_id;

/// A definition as an upstream lists it.
pub(crate) type Definition = Map<String, Value>;

/// Most tools of one upstream, past ones included: tools are never deleted.
pub(crate) const MAX_TOOLS: usize = 2000;
/// Largest definition, as JSON.
const MAX_DEFINITION: usize = 64 * 1024;
/// Annotations that are kept for policy.
const MAX_ANNOTATIONS: usize = 16;

/// Why a tool is not registered. It is not shown, and a call of it is denied as an unknown tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its name is missing, too long, or holds characters that pass for others.
    Name,
    /// Its name is that of a door or of another tool, or is too easily confused with one.
    Collision,
    TooLarge,
    TooMany,
}

impl Refusal {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Name => "tool_name_invalid",
            Self::Collision => "tool_name_collision",
            Self::TooLarge => "tool_too_large",
            Self::TooMany => "tool_limit",
        }
    }

    /// For operators.
    const fn detail(self) -> &'static str {
        match self {
            Self::Name => "the registry cannot take its name",
            Self::Collision => "the registry has a tool whose name is easily confused with it",
            Self::TooLarge => "its definition has more than 64 KiB",
            Self::TooMany => "the upstream has as many tools as it may have, past ones included",
        }
    }
}

/// One definition of a listing.
#[derive(Debug)]
pub(crate) struct Offer {
    /// In the registry; the name that it would have when it is refused.
    pub(crate) name: ToolName,
    pub(crate) digest: DefinitionDigest,
    pub(crate) definition: Arc<Definition>,
    pub(crate) refused: Option<Refusal>,
}

/// The offers of a listing, in its order.
pub(crate) fn offers(
    upstream: &Upstream,
    listed: &[Arc<Definition>],
) -> Result<Vec<Offer>, ServiceError> {
    let endpoint = upstream.transport.endpoint();
    let mut skeletons: HashSet<String> = HashSet::with_capacity(listed.len());
    let mut offers = Vec::with_capacity(listed.len());
    for definition in listed {
        let given = definition.get("name").and_then(Value::as_str).unwrap_or_default();
        let honest = qualified(upstream.name.as_str(), given);
        let is_honest = honest.is_ok();
        let name = honest.or_else(|_| refused_name(&upstream.name, given));
        let name = name.map_err(|error| unnameable(&error))?;
        let is_first = skeletons.insert(name.skeleton());
        let refused = if !is_honest {
            Some(Refusal::Name)
        } else if !is_first || is_door(upstream, &name) {
            Some(Refusal::Collision)
        } else if size(definition) > MAX_DEFINITION {
            Some(Refusal::TooLarge)
        } else {
            None
        };
        let digest = match refused {
            Some(Refusal::TooLarge) => DefinitionDigest([0; 32]),
            _ => DefinitionDigest::of(definition, &endpoint),
        };
        offers.push(Offer { name, digest, definition: Arc::clone(definition), refused });
    }
    Ok(offers)
}

/// Doors keep their names: a tool that could be taken for one is refused.
fn is_door(upstream: &Upstream, name: &ToolName) -> bool {
    let skeleton = name.skeleton();
    let doors = Door::ALL.into_iter().filter_map(|door| door.registered(&upstream.name).ok());
    doors.into_iter().any(|door| door.skeleton() == skeleton)
}

/// Its size as JSON, about: texts that need no escapes have exactly this size.
fn size(definition: &Definition) -> usize {
    let of_map = |map: &Definition| -> usize {
        2 + map.iter().map(|(name, value)| name.len() + 4 + size_of_value(value)).sum::<usize>()
    };
    of_map(definition)
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| size_of_value(item) + 1).sum::<usize>(),
        Value::Object(map) => size(map),
    }
}

impl Offer {
    /// What has to change in the registry; `None` when this is what it knows.
    pub(crate) fn change(
        &self,
        upstream: &Upstream,
        control: &ControlState,
        waits: bool,
        now: Timestamp,
    ) -> Result<Option<PinChange>, ServiceError> {
        if self.refused.is_some() {
            return Ok(None);
        }
        let definition = || Arc::clone(&self.definition);
        let Some(tool) = control.tool(upstream.tenant_id, &self.name) else {
            let pin = Pin::first(upstream.id, self.digest, waits, now);
            let tool = self.tool(upstream, pin, now)?;
            return Ok(Some(PinChange::Register { tool, definition: definition() }));
        };
        if tool.retired_at.is_some() {
            return Ok(None);
        }
        let (after, metadata) = match tool.pin {
            Some(pin) => (pin.after_offer(upstream.id, self.digest, now), None),
            // Registered by hand before the upstream was there.
            None => {
                let mut metadata = tool.metadata.clone();
                metadata.extend(self.metadata(upstream));
                (Pin::first(upstream.id, self.digest, waits, now), Some(metadata))
            }
        };
        if tool.pin == Some(after) {
            return Ok(None);
        }
        let is_kept =
            tool.pin.is_some_and(|pin| pin.definitions().any(|digest| digest == self.digest));
        Ok(Some(PinChange::Move {
            tool: tool.id,
            before: tool.pin,
            after,
            metadata,
            definition: (!is_kept).then(|| (self.digest, definition())),
        }))
    }

    fn tool(&self, upstream: &Upstream, pin: Pin, now: Timestamp) -> Result<Tool, ServiceError> {
        Ok(Tool {
            id: ToolId(new_id(now)),
            tenant_id: upstream.tenant_id,
            name: self.name.clone(),
            url: address(upstream)?,
            owner: owner(upstream)?,
            scopes: Vec::new(),
            metadata: self.metadata(upstream),
            healthcheck: None,
            created_at: now,
            updated_at: now,
            retired_at: None,
            pin: Some(pin),
        })
    }

    fn metadata(&self, upstream: &Upstream) -> Definition {
        let about = about(upstream, &self.definition, self.digest);
        std::iter::once((METADATA.to_owned(), about)).collect()
    }
}

/// What policy is told of a tool of an upstream, in its metadata.
pub(crate) fn about(
    upstream: &Upstream,
    definition: &Definition,
    digest: DefinitionDigest,
) -> Value {
    json!({
        "kind": "tool",
        "upstream": upstream.name,
        "name": definition.get("name"),
        "annotations": hints(definition),
        "digest": digest,
    })
}

/// The hints among the annotations, which are true or false. Texts that a server chooses freely are
/// left out: they are not for policy to rest on.
fn hints(definition: &Definition) -> Definition {
    let annotations = definition.get("annotations").and_then(Value::as_object);
    let is_name = |name: &str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let hints = annotations.into_iter().flatten();
    let hints = hints.filter(|(name, value)| value.is_boolean() && is_name(name));
    hints.take(MAX_ANNOTATIONS).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Names that the store has refused as confusable. Tools are never deleted, so this lasts, and an
/// unchanged listing need not ask the store again.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<(TenantId, ToolName), Refusal>>);

const MAX_REFUSALS: usize = 4096;
/// Of these, shown for one upstream.
const MAX_SHOWN: usize = 100;

impl Refusals {
    pub(crate) fn of(&self, tenant: TenantId, name: &ToolName) -> Option<Refusal> {
        let refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.get(&(tenant, name.clone())).copied()
    }

    /// The tools of an upstream that the registry has refused.
    pub(crate) fn under(&self, upstream: &Upstream) -> Vec<ToolDefect> {
        let prefix = format!("{}{}", upstream.name, sentinel_core::name::SEPARATOR);
        let refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = refusals.iter().filter(|((tenant, name), _)| {
            *tenant == upstream.tenant_id && name.as_str().starts_with(&prefix)
        });
        let defect = |((_, name), refusal): (&(TenantId, ToolName), &Refusal)| ToolDefect {
            tool: name.to_string(),
            reason: refusal.code(),
            detail: refusal.detail().to_owned(),
        };
        let mut defects: Vec<_> = own.map(defect).collect();
        defects.sort_by(|one, other| one.tool.cmp(&other.tool));
        defects.truncate(MAX_SHOWN);
        defects
    }

    pub(crate) fn remember(&self, tenant: TenantId, name: &ToolName, refusal: Refusal) {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MAX_REFUSALS {
            refusals.clear();
        }
        refusals.insert((tenant, name.clone()), refusal);
    }
}
