//! A kill ends calls under way: the client reads why, the server is told, the record says that the
//! outcome is not known, and no call starts after the kill returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sentinel_gateway::enforce::{Settings, Sign};
use sentinel_service::kill::Target;
use sentinel_testkit::build::name;
use serde_json::{Value, json};

use crate::world::{ADMIN, Behaviour, TENANT, World, call, code, decision, text, within};

/// Starts a call and waits until the server has it.
async fn start(world: &World, tool: &'static str) -> tokio::task::JoinHandle<Value> {
    let client = world.client();
    let calling = tokio::spawn(async move { call(&client, tool, json!({"n": 1})).await });
    within(world.upstream.arrived.notified()).await;
    calling
}

#[tokio::test]
async fn a_kill_ends_a_call_under_way_and_counts_it() {
    let world = World::start().await;
    world.upstream.will("plain", Behaviour::Wait(json!({})));
    let calling = start(&world, "plain").await;
    let killed = world.kill("plain").await;
    assert_eq!((killed.reached.calls, killed.reached.calls_unconfirmed), (1, 0));
    let result = within(calling).await.unwrap();
    assert_eq!(code(&result), "killed");
    let text = text(&result);
    assert!(text.starts_with("Stopped by an operator: killed (tool): incident 4711"), "{text}");
    assert!(text.contains("whether it was carried out is not known"), "{text}");
    assert_eq!(*world.upstream.withdrawn.lock().unwrap(), ["killed"]);
    assert_eq!(world.outcomes(decision(&result)).await, ["unconfirmed"]);
    // The session goes on, for what the kill does not cover.
    assert_eq!(call(&world.client(), "read", json!({})).await["isError"], Value::Null);
    assert_eq!(code(&call(&world.client(), "plain", json!({})).await), "killed");
}

#[tokio::test]
async fn a_server_that_ignores_the_end_of_a_call_does_not_keep_its_client() {
    let world = World::start().await;
    world.upstream.will("plain", Behaviour::Deaf);
    let calling = start(&world, "plain").await;
    let killed = world.kill("plain").await;
    assert_eq!(killed.reached.calls, 1);
    let result = within(calling).await.unwrap();
    assert_eq!(code(&result), "killed");
    assert_eq!(world.outcomes(decision(&result)).await, ["unconfirmed"]);
    assert_eq!(world.services.calls.in_flight(), 0);
}

#[tokio::test]
async fn whatever_the_server_says_after_the_kill_is_withheld() {
    let world = World::start().await;
    let secret = json!({"content": [{"type": "text", "text": "the secret"}]});
    world.upstream.will("plain", Behaviour::Wait(secret));
    for _ in 0..50 {
        let calling = start(&world, "plain").await;
        // Both at once.
        let target = Target::Tenant(name(TENANT));
        let kill = world.services.kills.kill(&ADMIN, &target, name("drill"));
        let (killed, ()) = tokio::join!(kill, async { world.upstream.go.notify_one() });
        let reached = killed.unwrap().reached;
        let result = within(calling).await.unwrap();
        // It was over before the kill, or it was cut.
        assert!(result.get("isError").is_none() || code(&result) == "killed", "{result}");
        assert!(result.get("isError").is_none() || !result.to_string().contains("secret"));
        assert!(reached.calls <= 1 && reached.calls_unconfirmed == 0, "{reached:?}");
        world.services.kills.restore(&ADMIN, &target).await.unwrap();
        // A permit that was not used stays for the next round otherwise.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, world.upstream.go.notified()).await;
    }
}

#[tokio::test]
async fn a_kill_of_another_tool_or_agent_leaves_a_call_alone() {
    let world = World::start().await;
    world.upstream.will("plain", Behaviour::Wait(json!({})));
    let calling = start(&world, "plain").await;
    assert_eq!(world.kill("read").await.reached.calls, 0);
    let other = Target::Agent(name("other"));
    let killed = world.services.kills.kill(&ADMIN, &other, name("drill")).await.unwrap();
    assert_eq!(killed.reached.calls, 0);
    world.upstream.go.notify_one();
    assert_eq!(within(calling).await.unwrap()["isError"], Value::Null);
}

/// Ten thousand calls through the gateway race with a kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_calls_none_starts_after_the_kill_returned() {
    let settings = Settings { sign: Sign::Off, ..Settings::default() };
    let world = Arc::new(World::start_with(settings).await);
    let killed = Arc::new(AtomicBool::new(false));
    let late = Arc::new(AtomicU64::new(0));
    let calls: Vec<_> = (0..10_000)
        .map(|n| {
            let (world, killed) = (Arc::clone(&world), Arc::clone(&killed));
            let late = Arc::clone(&late);
            tokio::spawn(async move {
                let client = world.client();
                let before = !killed.load(Ordering::SeqCst);
                let result = call(&client, "read", json!({ "n": n })).await;
                // One that was asked for after the kill returned and went through is late.
                if !before && result.get("isError").is_none() {
                    late.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while world.upstream.received.lock().unwrap().len() < 300 {
        tokio::task::yield_now().await;
    }
    let reached = world.kill("read").await.reached;
    let started = world.upstream.received.lock().unwrap().len();
    killed.store(true, Ordering::SeqCst);
    for call in calls {
        call.await.unwrap();
    }
    // Not one request has arrived at the server since the kill returned.
    assert_eq!(world.upstream.received.lock().unwrap().len(), started);
    assert_eq!((late.load(Ordering::SeqCst), reached.calls_unconfirmed), (0, 0));
    assert!(started < 10_000, "the kill came too late to show anything");
    assert_eq!(world.services.calls.in_flight(), 0);
}
