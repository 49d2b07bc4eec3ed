//! What replicas tell each other arrives as it was sent.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::ArgumentHash;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{
    Event, KillEvent, ProvenanceEvent, RegistryChange, RegistryEvent, ShownNothing,
};
use sentinel_core::id::{DecisionId, KillId, ManifestId, TenantId, ToolId};
use sentinel_core::kill::{Kill, KillScope};
use sentinel_core::name::{AgentName, Label, Reason, TenantSlug, ToolName};
use sentinel_core::policy::PolicyReason;
use sentinel_core::quota::{Quota, Window};
use serde_json::{Map, Value};
use uuid::Uuid;

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|nanos| Timestamp::from_nanosecond(nanos).unwrap())
}

fn slug() -> impl Strategy<Value = TenantSlug> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(|text| text.parse().unwrap())
}

fn tool() -> impl Strategy<Value = ToolName> {
    "[a-zA-Z0-9]([a-zA-Z0-9_.]?[a-zA-Z0-9]){0,20}".prop_map(|text| text.parse().unwrap())
}

fn agent() -> impl Strategy<Value = AgentName> {
    "[!#-&(-\\[\\]-_a-~]{1,128}".prop_map(|text| text.parse().unwrap())
}

fn reason() -> impl Strategy<Value = Reason> {
    "[a-zA-Zäöü日本 \"\\\\]{1,40}".prop_filter_map("blank", |text| text.parse().ok())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(of: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(any::<String>(), of, 0..4).prop_map(|map| map.into_iter().collect())
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1_u32..1000).prop_map(Window::Minutes),
        (1_u32..100).prop_map(Window::Hours),
        (1_u32..100).prop_map(Window::Days),
        Just(Window::Month),
    ]
}

fn code() -> impl Strategy<Value = ReasonCode> {
    prop::sample::select(ReasonCode::ALL).prop_map(|(code, _)| code)
}

fn record() -> impl Strategy<Value = DecisionRecord> {
    let who = (id(), any::<[u64; 4]>(), slug(), tool(), prop::option::of(id()), any::<bool>());
    let why = (code(), any::<String>(), prop::collection::vec(any::<(String, String)>(), 0..3));
    let of = (prop::option::of((any::<u64>(), window())), prop::option::of(any::<String>()));
    let what = (prop::option::of(agent()), any::<[u8; 32]>(), object(json()), time());
    (who, why, of, what).prop_map(|(who, why, of, what)| {
        let (uuid, numbers, tenant, tool, other, allow) = who;
        let [sequence, epoch, remaining, duration_us] = numbers;
        DecisionRecord {
            id: DecisionId(uuid),
            sequence,
            epoch: Epoch(epoch),
            tenant,
            tenant_id: other.map(TenantId),
            tool,
            tool_id: other.map(ToolId),
            allow,
            code: why.0,
            reason: why.1,
            reasons: why.2.into_iter().map(|(code, msg)| PolicyReason { code, msg }).collect(),
            quota: of.0.map(|(limit, window)| Quota { limit, window }),
            quota_remaining: of.0.map(|_| remaining),
            policy_revision: of.1.as_deref().map(Arc::from),
            principal: of.1.unwrap_or_default(),
            agent: what.0,
            action: "invoke".parse().unwrap(),
            purpose: allow.then(|| "testing".parse().unwrap()),
            argument_hash: ArgumentHash(what.1),
            call_id: allow.then(|| "call-1".parse().unwrap()),
            event_metadata: what.2,
            created_at: what.3,
            duration_us,
        }
    })
}

fn scope() -> impl Strategy<Value = KillScope> {
    (id(), id(), agent(), reason(), 0..9).prop_map(|(tenant, tool, agent, label, kind)| {
        let tenant_id = TenantId(tenant);
        let label: Label = label.as_str().parse().unwrap();
        match kind {
            0 => KillScope::Global,
            1 => KillScope::Tenant(tenant_id),
            2 => KillScope::Tool { tenant_id, tool_id: ToolId(tool) },
            3 => KillScope::Agent(agent),
            4 => KillScope::Principal { tenant_id: None, principal: label },
            5 => KillScope::Principal { tenant_id: Some(tenant_id), principal: label },
            6 => KillScope::ToolScope { tenant_id: Some(tenant_id), scope: label },
            7 => KillScope::ToolTag { tenant_id: None, tag: label },
            _ => KillScope::TenantAgent { tenant_id, agent },
        }
    })
}

fn kill() -> impl Strategy<Value = KillEvent> {
    let rest = (any::<u64>(), any::<String>(), time(), prop::option::of(time()));
    (id(), scope(), reason(), prop::option::of((slug(), tool())), rest).prop_map(
        |(uuid, scope, reason, names, (epoch, actor, at, restored_at))| KillEvent {
            kill: Kill {
                id: KillId(uuid),
                scope,
                reason,
                actor: actor.clone(),
                by_platform: restored_at.is_some(),
                created_at: at,
                starts_at: restored_at,
                begun_at: None,
                expires_at: restored_at,
                epoch: Epoch(epoch),
                restored_at,
                restored_by: restored_at.map(|_| actor.clone()),
            },
            tenant: names.as_ref().map(|names| names.0.clone()),
            tool: names.map(|names| names.1),
            epoch: Epoch(epoch),
            actor,
            at,
        },
    )
}

fn provenance() -> impl Strategy<Value = ProvenanceEvent> {
    (id(), id(), slug(), tool(), any::<bool>(), time()).prop_map(
        |(manifest, tenant_id, tenant, tool, verified, at)| ProvenanceEvent {
            manifest_id: ManifestId(manifest),
            tenant_id: TenantId(tenant_id),
            tenant,
            tool,
            verified,
            at,
        },
    )
}

fn registry() -> impl Strategy<Value = RegistryEvent> {
    let kinds = prop::sample::select(vec![
        RegistryChange::TenantCreated,
        RegistryChange::ToolRegistered,
        RegistryChange::ToolUpdated,
        RegistryChange::ToolRetired,
        RegistryChange::KeyCreated,
        RegistryChange::KeyRevoked,
        RegistryChange::ToolDrift,
        RegistryChange::ToolApproved,
        RegistryChange::ToolRejected,
        RegistryChange::UpstreamAdded,
        RegistryChange::UpstreamRemoved,
    ]);
    (kinds, prop::option::of((id(), slug())), any::<(String, String, u64)>(), time()).prop_map(
        |(kind, tenant, (subject, actor, epoch), at)| RegistryEvent {
            kind,
            tenant_id: tenant.as_ref().map(|tenant| TenantId(tenant.0)),
            tenant: tenant.map(|tenant| tenant.1),
            subject,
            actor,
            epoch: Epoch(epoch),
            at,
        },
    )
}

fn shown_nothing() -> impl Strategy<Value = ShownNothing> {
    let upstream = prop::option::of("[a-z0-9]{1,8}".prop_map(|text| text.parse().unwrap()));
    (id(), slug(), upstream, prop::option::of(agent()), any::<(String, u64)>(), time()).prop_map(
        |(tenant_id, tenant, upstream, agent, (principal, hidden), at)| ShownNothing {
            tenant_id: TenantId(tenant_id),
            tenant,
            upstream,
            agent,
            principal,
            hidden,
            at,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        record().prop_map(|event| Event::Checked(Arc::new(event))),
        kill().prop_map(|event| Event::Killed(Arc::new(event))),
        kill().prop_map(|event| Event::Restored(Arc::new(event))),
        provenance().prop_map(|event| Event::Signed(Arc::new(event))),
        provenance().prop_map(|event| Event::Verified(Arc::new(event))),
        registry().prop_map(|event| Event::Registry(Arc::new(event))),
        shown_nothing().prop_map(|event| Event::ShownNothing(Arc::new(event))),
    ]
}

proptest! {
    #[test]
    fn events_survive_serialization(events in prop::collection::vec(event(), 0..4)) {
        let json = serde_json::to_vec(&events).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Vec<Event>>(&json).unwrap(), events);
    }

    #[test]
    fn what_is_not_an_event_is_an_error_and_not_a_panic(value in json()) {
        prop_assert!(serde_json::from_value::<Event>(value).is_err());
    }

    #[test]
    fn exactly_control_events_have_an_epoch(event in event()) {
        let control = matches!(event, Event::Killed(_) | Event::Restored(_) | Event::Registry(_));
        prop_assert_eq!(event.is_control(), control);
        prop_assert_eq!(event.epoch().is_some(), control);
    }
}
