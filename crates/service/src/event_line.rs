//! The form of an event that people and programs read: one JSON object with the seed's fields.

use jiff::Timestamp;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::event::{Event, KillEvent, ProvenanceEvent, RegistryEvent};
use sentinel_core::policy_change::PolicyChange;
use serde::Serialize;
use serde_json::{Value, json};

/// `{event, tenant, tool, reason, timestamp, metadata}`, as in the stream of events and the log.
#[derive(Debug, Serialize)]
pub struct EventLine<'a> {
    pub event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    pub timestamp: Timestamp,
    /// What else there is to know; never a payload, an argument or a key.
    pub metadata: Value,
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
        }
    }
}

fn of_decision<'a>(event: &'static str, record: &'a DecisionRecord) -> EventLine<'a> {
    EventLine {
        event,
        tenant: Some(record.tenant.as_ref()),
        tool: Some(record.tool.as_ref()),
        reason: Some(&record.reason),
        timestamp: record.created_at,
        metadata: json!({
            "decision_id": record.id,
            "sequence": record.sequence,
            "code": record.code,
            "action": record.action,
            "purpose": record.purpose,
            "agent": record.agent,
            "principal": record.principal,
            "policy_revision": record.policy_revision,
            "quota_remaining": record.quota_remaining,
            "duration_us": record.duration_us,
            "request_id": record.event_metadata.get("request_id"),
            "obligations": record.obligations(),
        }),
    }
}

fn of_kill<'a>(event: &'static str, kill: &'a KillEvent) -> EventLine<'a> {
    EventLine {
        event,
        tenant: kill.tenant.as_ref().map(AsRef::as_ref),
        tool: kill.tool.as_ref().map(AsRef::as_ref),
        reason: Some(kill.kill.reason.as_ref()),
        timestamp: kill.at,
        metadata: json!({
            "kill_id": kill.kill.id,
            "scope": kill.kill.scope.kind(),
            "agent": kill.kill.scope.agent(),
            "label": kill.kill.scope.label(),
            "expires_at": kill.kill.expires_at,
            "actor": kill.actor,
            "epoch": kill.epoch,
        }),
    }
}

fn of_manifest<'a>(event: &'static str, signed: &'a ProvenanceEvent) -> EventLine<'a> {
    EventLine {
        event,
        tenant: Some(signed.tenant.as_ref()),
        tool: Some(signed.tool.as_ref()),
        reason: None,
        timestamp: signed.at,
        metadata: json!({ "manifest_id": signed.manifest_id, "verified": signed.verified }),
    }
}

fn of_registry<'a>(event: &'static str, change: &'a RegistryEvent) -> EventLine<'a> {
    EventLine {
        event,
        tenant: change.tenant.as_ref().map(AsRef::as_ref),
        tool: None,
        reason: None,
        timestamp: change.at,
        metadata: json!({
            "subject": change.subject,
            "actor": change.actor,
            "epoch": change.epoch,
        }),
    }
}

fn of_policy<'a>(event: &'static str, change: &'a PolicyChange) -> EventLine<'a> {
    EventLine {
        event,
        tenant: None,
        tool: None,
        reason: change.reason.as_ref().map(AsRef::as_ref),
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
        }),
    }
}
