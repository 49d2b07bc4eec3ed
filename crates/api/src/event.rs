use std::borrow::Cow;

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::event::{Event, KillEvent, ProvenanceEvent, RegistryEvent, ShownNothing};
use sentinel_core::id::DecisionId;
use sentinel_core::policy_change::PolicyChange;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{Code, Kill};

/// An event as people and programs read it: one JSON object with the seed's fields, in the stream
/// of events and in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLine<'a> {
    /// Its name, as clients subscribe to it: `kill_switch.disabled`.
    pub event: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    pub timestamp: Timestamp,
    /// What else there is to know; never a payload, an argument or a key.
    pub metadata: Metadata<'a>,
}

/// What an event says besides; a JSON object on the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Metadata<'a> {
    /// Of the most frequent events, which are written without a detour through a JSON value.
    Checked(Box<CheckedEvent<'a>>),
    Other(Value),
}

impl Metadata<'_> {
    /// The object, as it is read.
    #[must_use]
    pub fn value(&self) -> Cow<'_, Value> {
        match self {
            // Strings, numbers and JSON values: turning them into one does not fail.
            Self::Checked(checked) => Cow::Owned(serde_json::to_value(checked).unwrap_or_default()),
            Self::Other(value) => Cow::Borrowed(value),
        }
    }
}

impl From<Value> for Metadata<'_> {
    fn from(value: Value) -> Self {
        Self::Other(value)
    }
}

impl<'de> Deserialize<'de> for Metadata<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::Other)
    }
}

/// The metadata of `policy.check.allow` and `policy.check.deny`. The fields are in alphabetical
/// order, as those of all other events are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckedEvent<'a> {
    pub action: Cow<'a, str>,
    pub agent: Option<Cow<'a, str>>,
    pub code: Code,
    pub decision_id: DecisionId,
    pub duration_us: u64,
    pub obligations: Cow<'a, [Value]>,
    pub policy_revision: Option<Cow<'a, str>>,
    pub principal: Cow<'a, str>,
    pub purpose: Option<Cow<'a, str>>,
    pub quota_remaining: Option<u64>,
    pub request_id: Option<Cow<'a, Value>>,
    pub sequence: u64,
}

impl<'a> EventLine<'a> {
    /// The line of an event.
    #[must_use]
    pub fn of(event: &'a Event) -> Self {
        match event {
            Event::Checked(record) => of_decision(event.name(), record),
            Event::Killed(kill) | Event::Restored(kill) => of_kill(event.name(), kill),
            Event::Signed(signed) | Event::Verified(signed) => of_manifest(event.name(), signed),
            Event::Registry(change) => of_registry(event.name(), change),
            Event::Policy(change) => of_policy(event.name(), change),
            Event::ShownNothing(shown) => of_shown_nothing(event.name(), shown),
        }
    }
}

impl EventLine<'_> {
    /// What a check came to; `None` when the event is not about one, or cannot be read.
    #[must_use]
    pub fn checked(&self) -> Option<CheckedEvent<'static>> {
        let is_check = self.event.starts_with("policy.check.");
        is_check.then(|| CheckedEvent::deserialize(&*self.metadata.value()).ok())?
    }
}

fn text<T: AsRef<str>>(name: &T) -> Cow<'_, str> {
    Cow::Borrowed(name.as_ref())
}

fn of_decision<'a>(event: &'static str, record: &'a DecisionRecord) -> EventLine<'a> {
    let metadata = CheckedEvent {
        decision_id: record.id,
        sequence: record.sequence,
        code: Code::Known(record.code),
        action: text(&record.action),
        purpose: record.purpose.as_ref().map(text),
        agent: record.agent.as_ref().map(text),
        principal: text(&record.principal),
        policy_revision: record.policy_revision.as_ref().map(text),
        quota_remaining: record.quota_remaining,
        duration_us: record.duration_us,
        request_id: record.event_metadata.get("request_id").map(Cow::Borrowed),
        obligations: Cow::Borrowed(record.obligations()),
    };
    EventLine {
        event: Cow::Borrowed(event),
        tenant: Some(text(&record.tenant)),
        tool: Some(text(&record.tool)),
        reason: Some(text(&record.reason)),
        timestamp: record.created_at,
        metadata: Metadata::Checked(Box::new(metadata)),
    }
}

fn of_kill<'a>(event: &'static str, kill: &'a KillEvent) -> EventLine<'a> {
    EventLine {
        event: Cow::Borrowed(event),
        tenant: kill.tenant.as_ref().map(text),
        tool: kill.tool.as_ref().map(text),
        reason: Some(text(&kill.kill.reason)),
        timestamp: kill.at,
        metadata: json!({
            "kill_id": kill.kill.id,
            "scope": kill.kill.scope.kind(),
            "agent": kill.kill.scope.agent(),
            "label": kill.kill.scope.label(),
            "expires_at": kill.kill.expires_at,
            "actor": kill.actor,
            "epoch": kill.epoch,
        })
        .into(),
    }
}

fn of_manifest<'a>(event: &'static str, signed: &'a ProvenanceEvent) -> EventLine<'a> {
    EventLine {
        event: Cow::Borrowed(event),
        tenant: Some(text(&signed.tenant)),
        tool: Some(text(&signed.tool)),
        reason: None,
        timestamp: signed.at,
        metadata: json!({ "manifest_id": signed.manifest_id, "verified": signed.verified }).into(),
    }
}

fn of_registry<'a>(event: &'static str, change: &'a RegistryEvent) -> EventLine<'a> {
    EventLine {
        event: Cow::Borrowed(event),
        tenant: change.tenant.as_ref().map(text),
        tool: None,
        reason: None,
        timestamp: change.at,
        metadata: json!({
            "subject": change.subject,
            "actor": change.actor,
            "epoch": change.epoch,
        })
        .into(),
    }
}

fn of_policy<'a>(event: &'static str, change: &'a PolicyChange) -> EventLine<'a> {
    EventLine {
        event: Cow::Borrowed(event),
        tenant: None,
        tool: None,
        reason: change.reason.as_ref().map(text),
        timestamp: change.at,
        metadata: json!({
            "change_id": change.id,
            "actor": change.actor,
            "author": change.author,
            "revision": change.revision,
            "path": change.path,
            "data_version": change.data_version,
            "rollout_id": change.rollout_id,
            "detail": change.detail,
            "epoch": change.epoch,
        })
        .into(),
    }
}

fn of_shown_nothing<'a>(event: &'static str, shown: &'a ShownNothing) -> EventLine<'a> {
    let reason = match shown.hidden {
        1 => "policy hides the only tool from the agent".to_owned(),
        hidden => format!("policy hides all {hidden} tools from the agent"),
    };
    EventLine {
        event: Cow::Borrowed(event),
        tenant: Some(text(&shown.tenant)),
        tool: None,
        reason: Some(reason.into()),
        timestamp: shown.at,
        metadata: json!({
            "agent": shown.agent,
            "hidden": shown.hidden,
            "principal": shown.principal,
            "upstream": shown.upstream,
        })
        .into(),
    }
}

/// The state of the kill switch, sent first and whenever events were missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncEvent {
    /// Always `sync`.
    #[schema(value_type = String)]
    pub event: Cow<'static, str>,
    /// The epoch that this is the state of. A kill event whose `metadata.epoch` is not greater is
    /// in it already.
    pub epoch: u64,
    /// Whether events were missed that are not sent again.
    pub gap: bool,
    /// Every kill in force that reaches what the caller may see.
    pub kills: Vec<Kill>,
}

/// The last event of a stream that the server ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedEvent {
    /// Always `closed`.
    pub event: Cow<'static, str>,
    /// `key_revoked` or `shutting_down`.
    pub code: Cow<'static, str>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::epoch::Epoch;
    use sentinel_core::event::RegistryChange;

    use super::*;

    /// What reads the log may rely on it: the fields of every event come in alphabetical order.
    #[test]
    fn a_decision_is_written_as_the_value_of_its_fields() {
        let metadata = CheckedEvent {
            action: "invoke".into(),
            agent: None,
            code: Code::Known(sentinel_core::decision::ReasonCode::Allowed),
            decision_id: DecisionId(uuid::Uuid::nil()),
            duration_us: 7,
            obligations: vec![json!({ "type": "alert" })].into(),
            policy_revision: Some("r".into()),
            principal: "key:1".into(),
            purpose: None,
            quota_remaining: Some(3),
            request_id: Some(Cow::Owned(json!("q"))),
            sequence: 5,
        };
        let metadata = Metadata::Checked(Box::new(metadata));
        let written = serde_json::to_string(&metadata).unwrap();
        assert_eq!(written, metadata.value().to_string());
        let read: Metadata<'static> = serde_json::from_str(&written).unwrap();
        assert_eq!(read.value(), metadata.value());
    }

    #[test]
    fn an_event_survives_the_wire() {
        let event = Event::Registry(Arc::new(RegistryEvent {
            kind: RegistryChange::KeyCreated,
            tenant_id: None,
            tenant: Some("lab".parse().unwrap()),
            subject: "ci".to_owned(),
            actor: "key:1".to_owned(),
            epoch: Epoch(4),
            at: Timestamp::UNIX_EPOCH,
        }));
        let line = EventLine::of(&event);
        let json = serde_json::to_string(&line).unwrap();
        let read: EventLine<'static> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, line);
        assert_eq!((read.event.as_ref(), read.checked()), ("registry.key_created", None));
    }
}
