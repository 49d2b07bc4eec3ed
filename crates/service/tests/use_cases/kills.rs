//! Kills: who restores, how long they last, what they reach, and that every subscriber hears about
//! them.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use sentinel_core::audit::DecisionFilter;
use sentinel_core::check::CheckRequest;
use sentinel_core::decision::ReasonCode;
use sentinel_core::event::{Bus, Event};
use sentinel_core::page::Page;
use sentinel_core::policy::Obligation;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::tool::ToolChange;
use sentinel_service::bus::{InProcessBus, Published};
use sentinel_service::keys::KeySpec;
use sentinel_service::kill::{KillOrder, Target};
use sentinel_service::self_test::{self, Outcome};
use sentinel_service::subscription::{Heard, Subscription};
use sentinel_service::{ServiceError, Services, Settings, Shared};
use sentinel_testkit::build::{self, name, object};
use serde_json::json;

use crate::support::{ADMIN, App, decision};

async fn key(app: &App, role: Role, tenant: Option<&str>, agent: Option<&str>) -> Principal {
    let (tenant, agent) = (tenant.map(name), agent.map(name));
    let spec = KeySpec { name: name("somebody"), role, tenant, agent, owner: None };
    let made = app.services.keys.create(&ADMIN, spec).await.unwrap();
    Principal::of_key(Arc::new(made.key))
}

async fn code_of(services: &Services, request: CheckRequest) -> ReasonCode {
    services.checker.check(request).await.unwrap().decision.code
}

async fn code(app: &App, request: CheckRequest) -> ReasonCode {
    code_of(&app.services, request).await
}

fn order(target: Target) -> KillOrder {
    KillOrder { target, reason: name("drill"), starts_at: None, expires_at: None }
}

fn tool() -> Target {
    Target::Tool(name("secops"), name("runbook"))
}

/// Waits for the next kill or restore.
async fn next(subscription: &mut Subscription) -> Event {
    let wait = async {
        loop {
            let Some(Heard::Events(group)) = subscription.next().await else { panic!("a gap") };
            let found = group.iter().map(|each| each.event.clone());
            let of_kill = |event: &Event| matches!(event, Event::Killed(_) | Event::Restored(_));
            if let Some(event) = found.into_iter().find(of_kill) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it was not announced")
}

/// What was told before the subscription, of all that it asks for.
fn missed(mut subscription: Subscription) -> Vec<Published> {
    let mut missed = Vec::new();
    while let Ok(Heard::Events(group)) = subscription.try_next() {
        missed.extend(group.iter().cloned());
    }
    missed
}

#[tokio::test]
async fn a_tenants_operator_lifts_no_kill_of_the_platform() {
    let app = App::start().await;
    let operator = key(&app, Role::Operator, Some("secops"), None).await;
    let kills = &app.services.kills;
    let agent = Target::TenantAgent(name("secops"), name("bot"));
    for target in [Target::Tenant(name("secops")), tool(), agent] {
        kills.kill(&ADMIN, &target, name("platform")).await.unwrap();
        let refused = kills.restore(&operator, &target).await.unwrap_err();
        assert_eq!(refused.code(), "unbound_principal_required", "{target:?}");
        assert!(matches!(refused, ServiceError::Forbidden { .. }));
        assert!(refused.to_string().contains("bound to no tenant"), "{refused}");
        // Nor by killing the same once more, and restoring that.
        kills.kill(&operator, &target, name("mine")).await.unwrap();
        let refused = kills.restore(&operator, &target).await.unwrap_err();
        assert_eq!(refused.code(), "unbound_principal_required", "{target:?}");
        let request = CheckRequest { agent: Some(name("bot")), ..app.request() };
        assert_eq!(code(&app, request.clone()).await, ReasonCode::Killed);
        assert_eq!(kills.restore(&ADMIN, &target).await.unwrap().kills.len(), 2);
        // What it killed itself it restores.
        kills.kill(&operator, &target, name("mine")).await.unwrap();
        assert_eq!(kills.restore(&operator, &target).await.unwrap().kills.len(), 1);
        assert_eq!(code(&app, request).await, ReasonCode::Allowed);
    }
}

#[tokio::test]
async fn a_tenants_administrator_sheds_no_kill_of_the_platform_by_changing_labels() {
    let app = App::start().await;
    let admin = key(&app, Role::Admin, Some("secops"), None).await;
    let id = app.tool.tool.id;
    let update = |who: Principal, change: ToolChange| {
        let services = Arc::clone(&app.services);
        async move { services.registry.update(&who, id, change).await }
    };
    let tags = |tags: serde_json::Value| ToolChange {
        metadata: Some(object(json!({ "tags": tags }))),
        ..build::change()
    };
    update(ADMIN, tags(json!(["pci"]))).await.unwrap();
    let target = Target::ToolTag(None, name("PCI"));
    app.services.kills.kill(&ADMIN, &target, name("breach")).await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
    for change in [tags(json!([])), tags(json!("other"))] {
        let refused = update(admin.clone(), change).await.unwrap_err();
        assert_eq!(refused.code(), "unbound_principal_required");
    }
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
    update(admin.clone(), tags(json!(["x", "Pci"]))).await.unwrap();
    update(ADMIN, tags(json!([]))).await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn letter_case_neither_escapes_a_kill_nor_breaks_a_binding() {
    let app = App::start().await;
    let bound = key(&app, Role::Agent, Some("secops"), Some("Triage")).await;
    let call = |principal: Principal, agent: Option<&str>| CheckRequest {
        principal,
        agent: agent.map(name),
        ..app.request()
    };
    for agent in [None, Some("Triage"), Some("TRIAGE"), Some("triage")] {
        let record = app.services.checker.check(call(bound.clone(), agent)).await.unwrap().decision;
        assert!(record.allow, "{agent:?}: {}", record.code.as_str());
        assert_eq!(record.agent, Some(name(agent.unwrap_or("Triage"))), "as the caller writes it");
    }
    assert_eq!(code(&app, call(bound.clone(), Some("triage2"))).await, ReasonCode::AgentForbidden);
    let target = Target::Agent(name("tRiAgE"));
    app.services.kills.kill(&ADMIN, &target, name("rogue")).await.unwrap();
    for agent in [None, Some("Triage"), Some("TRIAGE"), Some("triage")] {
        assert_eq!(code(&app, call(bound.clone(), agent)).await, ReasonCode::Killed, "{agent:?}");
    }
    assert_eq!(code(&app, call(ADMIN, Some("trIAGE"))).await, ReasonCode::Killed);
    assert_eq!(code(&app, call(ADMIN, Some("other"))).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn an_agent_is_demanded_by_the_configuration_or_by_policy() {
    let named = |app: &App| CheckRequest { agent: Some(name("bot")), ..app.request() };
    let app = App::start_with(Settings { require_agent: true, ..Settings::default() }).await;
    assert_eq!(code(&app, app.request()).await, ReasonCode::AgentRequired);
    assert_eq!(code(&app, named(&app)).await, ReasonCode::Allowed);
    let bound = key(&app, Role::Agent, Some("secops"), Some("bot")).await;
    let request = CheckRequest { principal: bound, ..app.request() };
    assert_eq!(code(&app, request).await, ReasonCode::Allowed, "the key names it");

    let app = App::start().await;
    let mut answer = decision(true, None).unwrap();
    let fields = serde_json::Map::new();
    answer.obligations = vec![Obligation { kind: "require_agent".to_owned(), fields }];
    app.policy.set(Ok(answer));
    let denied = app.services.checker.check(app.request()).await.unwrap();
    assert_eq!(denied.decision.code, ReasonCode::AgentRequired);
    assert!(denied.permit.is_none());
    assert_eq!(code(&app, named(&app)).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn a_kill_of_a_principal_stops_its_keys_and_their_permits() {
    let app = App::start().await;
    let somebody = key(&app, Role::Agent, Some("secops"), None).await;
    let call =
        |principal: &Principal| CheckRequest { principal: principal.clone(), ..app.request() };
    let allowed = app.services.checker.check(call(&somebody)).await.unwrap();
    let token = app.services.checker.token(&allowed.permit.unwrap());
    let target = Target::Principal(Some(name("secops")), name("SOMEBODY"));
    let done = app.services.kills.kill(&ADMIN, &target, name("left")).await.unwrap();
    assert_eq!(done.reached.permits, Some(1));
    assert_eq!(code(&app, call(&somebody)).await, ReasonCode::Killed);
    assert_eq!(code(&app, call(&ADMIN)).await, ReasonCode::Allowed);
    let (tool, arguments) = (app.tool.tool.id, app.request().arguments);
    let refused = app.services.redeemer.redeem(&ADMIN, &token, tool, &arguments).await.unwrap_err();
    assert_eq!(refused.code(), "killed");
    // A key that takes the place of the old one is the same principal.
    let rotated = key(&app, Role::Agent, Some("secops"), None).await;
    assert_eq!(code(&app, call(&rotated)).await, ReasonCode::Killed);
}

#[tokio::test]
async fn a_kill_says_what_it_reached() {
    let app = App::start().await;
    let kills = &app.services.kills;
    let agent = |agent: &str| CheckRequest { agent: Some(name(agent)), ..app.request() };
    let mut tokens = Vec::new();
    for who in ["a", "a", "b"] {
        let permit = app.services.checker.check(agent(who)).await.unwrap().permit.unwrap();
        tokens.push(app.services.checker.token(&permit));
    }
    let acme = app.services.control.current().tenant(&name("secops")).unwrap().id;
    let _of_tenant = app.services.events.listening(Some(acme));
    let _of_all = app.services.events.listening(None);
    let stranger =
        app.services.events.listening(Some(sentinel_core::id::TenantId(uuid::Uuid::now_v7())));
    let reached = async |target: Target| {
        let done = kills.kill(&ADMIN, &target, name("drill")).await.unwrap();
        kills.restore(&ADMIN, &target).await.unwrap();
        let reached = done.reached;
        assert_eq!((reached.replicas, reached.calls), (Some(1), 0));
        (reached.streams, reached.permits)
    };
    assert_eq!(reached(tool()).await, (2, Some(3)));
    assert_eq!(reached(Target::Agent(name("A"))).await, (3, Some(2)));
    assert_eq!(reached(Target::ToolScope(None, name("read"))).await, (3, Some(3)));
    assert_eq!(reached(Target::ToolTag(None, name("read"))).await, (3, Some(0)));
    drop(stranger);
    let (id, arguments) = (app.tool.tool.id, app.request().arguments);
    app.services.redeemer.redeem(&ADMIN, &tokens[0], id, &arguments).await.unwrap();
    assert_eq!(reached(Target::Global).await, (2, Some(2)), "one was redeemed");
    app.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(reached(Target::Global).await, (2, Some(0)), "the others are over");
}

#[tokio::test]
async fn a_scheduled_kill_begins_and_ends_by_itself_and_is_told() {
    let app = App::start().await;
    let kills = &app.services.kills;
    let mut listening = app.services.events.subscribe(None);
    let now = build::NOW;
    let at = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let order = KillOrder { starts_at: Some(at(60)), expires_at: Some(at(120)), ..order(tool()) };
    let made = kills.kill_as(&ADMIN, order).await.unwrap();
    assert_eq!((made.reached.streams, made.reached.permits), (0, Some(0)));
    assert_eq!(code(&app, app.request()).await, ReasonCode::Allowed);
    app.clock.advance(SignedDuration::from_secs(60));
    // In force at once, whether or not that is written down yet.
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
    let Event::Killed(begun) = next(&mut listening).await else { panic!("it begins first") };
    assert_eq!(begun.kill.id, made.kills[0]);
    assert!(begun.epoch > made.epoch);
    app.clock.advance(SignedDuration::from_millis(59_999));
    kills.turn().await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
    app.clock.advance(SignedDuration::from_millis(1));
    let Event::Restored(ended) = next(&mut listening).await else { panic!("it ends then") };
    assert_eq!((ended.kill.id, ended.actor.as_str()), (made.kills[0], "system:expiry"));
    assert_eq!(code(&app, app.request()).await, ReasonCode::Allowed);
}

#[tokio::test]
async fn a_clock_that_jumps_ends_no_kill() {
    let app = App::start().await;
    let kills = &app.services.kills;
    let expires_at = build::NOW.checked_add(SignedDuration::from_secs(3600)).ok();
    kills.kill_as(&ADMIN, KillOrder { expires_at, ..order(tool()) }).await.unwrap();
    kills.turn().await.unwrap();
    // Hours ahead, with no time passed: an hour later at the earliest by the clock that never
    // jumps.
    app.clock.set(build::NOW.checked_add(SignedDuration::from_hours(5)).unwrap());
    for _ in 0..3 {
        kills.turn().await.unwrap();
        assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
    }
    app.clock.advance(SignedDuration::from_secs(3599));
    kills.turn().await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
    app.clock.advance(SignedDuration::from_secs(1));
    kills.turn().await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Allowed);
    // Back again: what has begun stays so, and nothing ends.
    let starts_at =
        app.clock.advance(SignedDuration::ZERO).checked_add(SignedDuration::from_secs(1));
    kills.kill_as(&ADMIN, KillOrder { starts_at: starts_at.ok(), ..order(tool()) }).await.unwrap();
    app.clock.advance(SignedDuration::from_secs(1));
    kills.turn().await.unwrap();
    app.clock.set(build::NOW);
    kills.turn().await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed);
}

#[tokio::test]
async fn times_that_make_no_sense_are_refused() {
    let app = App::start().await;
    let at = |seconds| build::NOW.checked_add(SignedDuration::from_secs(seconds)).ok();
    let far = SignedDuration::from_hours(24 * 4000).as_secs();
    for (starts_at, expires_at) in [
        (None, at(0)),
        (None, at(-1)),
        (at(60), at(60)),
        (at(61), at(60)),
        (at(far), None),
        (None, at(far)),
    ] {
        let order = KillOrder { starts_at, expires_at, ..order(tool()) };
        let refused = app.services.kills.kill_as(&ADMIN, order).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_kill_time", "{starts_at:?} {expires_at:?}");
    }
    let past = KillOrder { starts_at: at(-60), ..order(tool()) };
    app.services.kills.kill_as(&ADMIN, past).await.unwrap();
    assert_eq!(code(&app, app.request()).await, ReasonCode::Killed, "in force at once");
}

/// Loses whatever it is given: a sender that dies between commit and send, a queue that is full, a
/// listener that is cut off.
#[derive(Debug)]
struct Lost;

impl Bus for Lost {
    fn publish(&self, _: Vec<Event>) {}
}

#[tokio::test]
async fn a_stream_hears_of_every_kill_though_every_message_is_lost() {
    let app = App::start().await;
    let shared = || Shared { others: Some(Arc::new(Lost)), ..Shared::default() };
    let killer = app.replica(Settings::default(), shared()).await;
    let other = app.replica(Settings::default(), shared()).await;
    let mut listening = other.events.subscribe(None);
    let killed = killer.kills.kill(&ADMIN, &tool(), name("stop")).await.unwrap();
    // By the next commit, or by the poll: both bring the state.
    assert_eq!(code_of(&other, app.request()).await, ReasonCode::Killed);
    let Event::Killed(event) = next(&mut listening).await else { panic!("it is killed first") };
    assert_eq!((event.kill.id, event.epoch), (killed.kills[0], killed.epoch));
    assert_eq!(event.tool, Some(name("runbook")));
    let restored = killer.kills.restore(&ADMIN, &tool()).await.unwrap();
    other.control.refresh().await.unwrap();
    let Event::Restored(event) = next(&mut listening).await else { panic!("it is restored") };
    assert_eq!((event.kill.id, event.epoch), (killed.kills[0], restored.epoch));
    assert_eq!(event.actor, ADMIN.id());
    // Both between two looks: still announced, and in an order that ends as things are.
    let first = killer.kills.kill(&ADMIN, &tool(), name("first")).await.unwrap();
    killer.kills.restore(&ADMIN, &tool()).await.unwrap();
    let second = killer.kills.kill(&ADMIN, &tool(), name("second")).await.unwrap();
    let mut listening = other.events.subscribe(Some(listening.position));
    let before = other.events.subscribe(None).position;
    other.control.refresh().await.unwrap();
    let told = missed(other.events.subscribe(Some(before)));
    let told: Vec<_> = told.iter().map(|each| (each.event.name(), kill_of(&each.event))).collect();
    let (disabled, restored) = ("kill_switch.disabled", "kill_switch.restored");
    let (first, second) = (first.kills[0], second.kills[0]);
    assert_eq!(told, [(disabled, first), (restored, first), (disabled, second)]);
    assert!(matches!(next(&mut listening).await, Event::Killed(_)));
}

fn kill_of(event: &Event) -> sentinel_core::id::KillId {
    match event {
        Event::Killed(event) | Event::Restored(event) => event.kill.id,
        other => panic!("{other:?}"),
    }
}

/// A message that does arrive makes no second event of it.
#[tokio::test]
async fn a_kill_is_told_once_whatever_brings_it() {
    let app = App::start().await;
    let events = Arc::new(InProcessBus::default());
    let to_other = events.foreign();
    let shared = Shared { events: Arc::clone(&events), ..Shared::default() };
    let other = app.replica(Settings::default(), shared).await;
    let shared = Shared { others: Some(to_other), ..Shared::default() };
    let killer = app.replica(Settings::default(), shared).await;
    let start = other.events.subscribe(None).position;
    let own = killer.events.subscribe(None).position;
    for target in [tool(), Target::Global] {
        killer.kills.kill(&ADMIN, &target, name("stop")).await.unwrap();
        other.control.refresh().await.unwrap();
        other.control.refresh().await.unwrap();
    }
    let of = |services: &Services, since| {
        let missed = missed(services.events.subscribe(Some(since)));
        missed.iter().map(|each| (each.event.name(), each.foreign)).collect::<Vec<_>>()
    };
    // Who made it logs it; the others only tell of it.
    assert_eq!(of(&other, start), [("kill_switch.disabled", true); 2]);
    assert_eq!(of(&killer, own), [("kill_switch.disabled", false); 2]);
}

#[tokio::test]
async fn a_self_test_passes_and_leaves_no_trace_for_others() {
    let app = App::start().await;
    let start = app.services.events.subscribe(None).position;
    for allows in [true, false] {
        app.policy.set(decision(allows, None));
        assert_eq!(app.services.self_tests.test(&app.services).await, Outcome::Passed);
    }
    // Under a kill of everything, too.
    app.services.kills.kill(&ADMIN, &Target::Global, name("stop")).await.unwrap();
    assert_eq!(app.services.self_tests.test(&app.services).await, Outcome::Passed);
    app.services.kills.restore(&ADMIN, &Target::Global).await.unwrap();
    let epoch = app.services.control.current().epoch();
    app.services.self_tests.test(&app.services).await;
    let after = app.services.control.current().epoch();
    assert_eq!(after.0, epoch.0 + 1, "it costs the others one epoch");
    assert_eq!(app.services.self_tests.counts().passed, 4);
    assert!(!app.services.self_tests.has_failed());

    let told = missed(app.services.events.subscribe(Some(start)));
    let told: Vec<_> = told.iter().map(|each| each.event.name()).collect();
    assert_eq!(told, ["kill_switch.disabled", "kill_switch.restored"], "of the real kill alone");
    let page = || Page::first(100);
    let tenants = app.services.registry.tenants(&ADMIN, page()).await.unwrap().items;
    assert_eq!(tenants.len(), 1);
    let tools = app.services.registry.tools(&ADMIN, None, page()).await.unwrap().items;
    assert_eq!(tools.len(), 1);
    assert_eq!(app.services.kills.history(&ADMIN, false, page()).await.unwrap().items.len(), 1);
    assert!(app.services.quotas.usage(&ADMIN, None, page()).await.unwrap().items.is_empty());
    let decisions = async |self_tests| {
        let filter = DecisionFilter { self_tests, ..DecisionFilter::default() };
        app.services.audit.decisions(&ADMIN, None, filter, page()).await.unwrap().items
    };
    assert!(decisions(false).await.is_empty());
    let marked = decisions(true).await;
    assert_eq!(marked.len(), 4);
    for record in marked {
        assert_eq!((record.allow, record.code), (false, ReasonCode::Killed));
        assert_eq!(record.event_metadata["context"], json!({"self_test": true}));
        assert_eq!(record.principal, "system:self-test");
    }
    // The slug is not for others.
    let spec = sentinel_core::tenant::TenantSpec {
        slug: name("sentinel-self-test"),
        display_name: name("mine"),
    };
    let refused = app.services.registry.create_tenant(&ADMIN, spec).await.unwrap_err();
    assert_eq!(refused.code(), "reserved_slug");
}

#[tokio::test]
async fn self_tests_come_round_and_end_with_the_services() {
    let app = App::start().await;
    let following =
        tokio::spawn(self_test::follow(Arc::downgrade(&app.services), Duration::from_millis(5)));
    let wait = async {
        while app.services.self_tests.counts().passed < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    drop(app);
    tokio::time::timeout(Duration::from_secs(20), following).await.unwrap().unwrap();
}
