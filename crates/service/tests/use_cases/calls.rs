//! Calls in flight: a kill ends them, and none starts after it has returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use sentinel_core::check::CheckRequest;
use sentinel_core::principal::{Principal, Role};
use sentinel_service::calls::{CallInFlight, PERMIT_EXPIRED};
use sentinel_service::keys::KeySpec;
use sentinel_service::kill::{KillOrder, Target};
use sentinel_service::{ServiceError, Services, Settings, Shared};
use sentinel_testkit::build::name;

use crate::support::{ADMIN, App, register};

async fn open(services: &Services, request: CheckRequest) -> Result<CallInFlight, ServiceError> {
    let principal = request.principal.clone();
    let checked = services.checker.check(request).await?;
    assert!(checked.decision.allow, "{}", checked.decision.reason);
    services.open_call(principal, checked).map(Option::unwrap)
}

fn tool() -> Target {
    Target::Tool(name("secops"), name("runbook"))
}

/// Waits until the call is to end; the code.
async fn cut(call: &CallInFlight) -> String {
    let signal = call.withdrawal();
    tokio::time::timeout(Duration::from_secs(20), signal.wait())
        .await
        .expect("it goes on")
        .code
        .into_owned()
}

/// Drops the call once it is to end, as whatever forwards calls does.
fn obey(call: CallInFlight) -> tokio::task::JoinHandle<String> {
    tokio::spawn(async move { cut(&call).await })
}

#[tokio::test]
async fn a_kill_ends_the_calls_that_it_covers_and_no_others() {
    let app = App::start().await;
    register(&app.services, "secops", "search").await;
    let other = CheckRequest { tool: name("search"), ..app.request() };
    let other = open(&app.services, other).await.unwrap();
    let waiting = open(&app.services, app.request()).await.unwrap();
    let sent = open(&app.services, app.request()).await.unwrap();
    drop(sent.start().await.unwrap());
    assert_eq!(app.services.calls.in_flight(), 3);
    let refused = waiting.withdrawal();
    let (waiting, sent) = (obey(waiting), obey(sent));
    let killed = app.services.kills.kill(&ADMIN, &tool(), name("drill")).await.unwrap();
    assert_eq!((killed.reached.calls, killed.reached.calls_unconfirmed), (2, 0));
    assert_eq!([waiting.await.unwrap(), sent.await.unwrap()], ["killed"; 2]);
    assert_eq!(refused.get().unwrap().reason, "killed (tool): drill");
    assert!(other.withdrawal().get().is_none());
    let _sending = other.start().await.unwrap();
    assert_eq!(app.services.calls.in_flight(), 1);
}

#[tokio::test]
async fn a_kill_that_gets_no_confirmation_says_so_and_holds_all_the_same() {
    let app = App::start().await;
    let deaf = open(&app.services, app.request()).await.unwrap();
    let sending = open(&app.services, app.request()).await.unwrap();
    let _held = sending.start().await.unwrap();
    let killed = app.services.kills.kill(&ADMIN, &Target::Global, name("drill")).await.unwrap();
    assert_eq!((killed.reached.calls, killed.reached.calls_unconfirmed), (2, 2));
    assert_eq!(deaf.start().await.unwrap_err().code, "killed");
}

#[tokio::test]
async fn a_call_is_sent_once_and_in_time() {
    let app = App::start().await;
    let call = open(&app.services, app.request()).await.unwrap();
    drop(call.start().await.unwrap());
    assert_eq!(call.start().await.unwrap_err().code, "permit_used");
    let late = open(&app.services, app.request()).await.unwrap();
    app.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(late.start().await.unwrap_err().code, PERMIT_EXPIRED);
    drop((call, late));
    assert_eq!(app.services.calls.in_flight(), 0);
}

#[tokio::test]
async fn a_permit_that_was_killed_before_it_was_opened_opens_no_call() {
    let app = App::start().await;
    let checked = app.services.checker.check(app.request()).await.unwrap();
    app.services.kills.kill(&ADMIN, &tool(), name("drill")).await.unwrap();
    let refused = app.services.open_call(ADMIN, checked).unwrap_err();
    assert_eq!(refused.code(), "killed");
    assert_eq!(app.services.calls.in_flight(), 0);
}

#[tokio::test]
async fn a_deny_opens_no_call() {
    let app = App::start().await;
    app.policy.set(crate::support::decision(false, None));
    let checked = app.services.checker.check(app.request()).await.unwrap();
    assert!(app.services.open_call(ADMIN, checked).unwrap().is_none());
}

#[tokio::test]
async fn a_kill_of_another_replica_ends_calls_here_and_lets_none_start() {
    let app = App::start().await;
    let other = app.replica(Settings::default(), Shared::default()).await;
    let here = open(&app.services, app.request()).await.unwrap();
    let waiting = open(&app.services, app.request()).await.unwrap();
    other.kills.kill(&ADMIN, &tool(), name("drill")).await.unwrap();
    // This replica has not heard of it. A call that waited asks before it is sent.
    assert!(waiting.withdrawal().get().is_none());
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(waiting.start().await.unwrap_err().code, "killed");
    // By then it has: so the other one was cut, too.
    assert_eq!(cut(&here).await, "killed");
    // And by itself, when it follows the others.
    other.kills.restore(&ADMIN, &tool()).await.unwrap();
    app.services.control.refresh().await.unwrap();
    let follower = open(&app.services, app.request()).await.unwrap();
    let (_sender, epochs) = tokio::sync::watch::channel(Default::default());
    let following = app.services.follow(epochs);
    other.kills.kill(&ADMIN, &tool(), name("drill")).await.unwrap();
    assert_eq!(cut(&follower).await, "killed");
    following.abort();
}

#[tokio::test]
async fn calls_of_a_revoked_key_and_of_a_killed_agent_or_principal_end() {
    let app = App::start().await;
    let spec = KeySpec {
        name: name("somebody"),
        role: Role::Agent,
        tenant: Some(name("secops")),
        agent: Some(name("bot")),
        owner: None,
    };
    let made = app.services.keys.create(&ADMIN, spec).await.unwrap();
    let id = made.key.id;
    let principal = Principal::of_key(Arc::new(made.key));
    let request = || CheckRequest { principal: principal.clone(), ..app.request() };
    let call = open(&app.services, request()).await.unwrap();
    for target in [
        Target::Agent(name("BOT")),
        Target::Principal(None, name(&id.to_string())),
        Target::TenantAgent(name("secops"), name("bot")),
    ] {
        let bystander = open(&app.services, app.request()).await.unwrap();
        let call = open(&app.services, request()).await.unwrap();
        app.services.kills.kill(&ADMIN, &target, name("drill")).await.unwrap();
        assert_eq!(cut(&call).await, "killed", "{target:?}");
        assert!(bystander.withdrawal().get().is_none(), "{target:?}");
        app.services.kills.restore(&ADMIN, &target).await.unwrap();
    }
    // A restore brings no call back to life.
    assert_eq!(call.start().await.unwrap_err().code, "killed");
    let call = open(&app.services, request()).await.unwrap();
    app.services.keys.revoke(&ADMIN, id).await.unwrap();
    assert_eq!(cut(&call).await, "key_revoked");
}

#[tokio::test]
async fn a_kill_that_is_to_come_ends_calls_when_it_begins() {
    let app = App::start().await;
    let call = open(&app.services, app.request()).await.unwrap();
    let starts_at =
        app.clock.advance(SignedDuration::from_secs(1)).checked_add(SignedDuration::from_secs(5));
    let order = KillOrder {
        target: tool(),
        reason: name("drill"),
        starts_at: starts_at.ok(),
        expires_at: None,
    };
    let killed = app.services.kills.kill_as(&ADMIN, order).await.unwrap();
    assert_eq!(killed.reached.calls, 0);
    assert!(call.withdrawal().get().is_none());
    app.clock.advance(SignedDuration::from_secs(6));
    assert_eq!(call.start().await.unwrap_err().code, "killed");
    assert_eq!(cut(&call).await, "killed");
}

/// Ten thousand calls race with a kill: each is checked, opened and sent. The time of each start
/// is compared with the end of the kill by a counter that only the kill moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_calls_none_starts_after_the_kill_returned() {
    let app = Arc::new(App::start_with(Settings { queue: 20_000, ..Settings::default() }).await);
    let killed = Arc::new(AtomicBool::new(false));
    let (before, after) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let (app, killed) = (Arc::clone(&app), Arc::clone(&killed));
            let (before, after) = (Arc::clone(&before), Arc::clone(&after));
            tokio::spawn(async move {
                let checked = app.services.checker.check(app.request()).await.unwrap();
                let Ok(Some(call)) = app.services.open_call(ADMIN, checked) else { return };
                tokio::task::yield_now().await;
                let Ok(sending) = call.start().await else { return };
                // The tool starts, in the middle of the write.
                tokio::task::yield_now().await;
                let count = if killed.load(Ordering::SeqCst) { &after } else { &before };
                count.fetch_add(1, Ordering::SeqCst);
                drop(sending);
            })
        })
        .collect();
    while before.load(Ordering::SeqCst) < 500 {
        tokio::task::yield_now().await;
    }
    let done = app.services.kills.kill(&ADMIN, &tool(), name("drill")).await.unwrap();
    killed.store(true, Ordering::SeqCst);
    for call in calls {
        call.await.unwrap();
    }
    let (before, after) = (before.load(Ordering::SeqCst), after.load(Ordering::SeqCst));
    assert_eq!((after, done.reached.calls_unconfirmed), (0, 0), "{before} before");
    assert!((500..10_000).contains(&before), "{before}: the kill came too late to show anything");
    assert_eq!(app.services.calls.in_flight(), 0);
}
