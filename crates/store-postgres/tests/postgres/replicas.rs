//! Several replicas on one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, RegistryChange, RegistryEvent};
use sentinel_core::kill::KillScope;
use sentinel_core::page::Page;
use sentinel_core::ports::prelude::*;
use sentinel_core::quota::Window;
use sentinel_store_postgres::{Options, PostgresStore};
use sentinel_testkit::build;
use sentinel_testkit::postgres::Server;

use crate::common::{Database, commit, control, scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_replicas_hear_of_every_epoch() {
    let server = Arc::new(Server::without_fsync());
    server.create_database("sentinel", "template0");
    let url = server.url("sentinel");
    PostgresStore::migrate(&url).await.unwrap();
    let (one, other) = (
        PostgresStore::open(&url, Options::default()).await.unwrap(),
        PostgresStore::open(&url, Options::default()).await.unwrap(),
    );
    let mut heard = other.epochs();
    assert_eq!(*heard.borrow(), Epoch(0));
    // Also what happened while no connection listened, and after the connection was lost.
    for round in 0..3 {
        for _ in 0..5 {
            let killed = one.kill(build::kill(KillScope::Global)).await.unwrap();
            let waiting = heard.wait_for(|epoch| *epoch >= killed);
            tokio::time::timeout(Duration::from_secs(15), waiting).await.unwrap().unwrap();
        }
        if round < 2 {
            let restarted = Arc::clone(&server);
            tokio::task::spawn_blocking(move || restarted.restart()).await.unwrap();
        }
    }
}

/// Remembers the names that registry events carry.
#[derive(Debug, Default)]
struct Heard(std::sync::Mutex<Vec<String>>);

impl Heard {
    async fn hears(&self, subject: &str) {
        for _ in 0..400 {
            if self.0.lock().unwrap().iter().any(|heard| heard == subject) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("`{subject}` was not heard: {self:?}");
    }
}

impl Bus for Heard {
    fn publish(&self, events: Vec<Event>) {
        let names = events.into_iter().map(|event| match event {
            Event::Registry(event) => event.subject.clone(),
            other => panic!("{other:?}"),
        });
        self.0.lock().unwrap().extend(names);
    }
}

fn registry_event(subject: &str) -> Vec<Event> {
    vec![Event::Registry(Arc::new(RegistryEvent {
        kind: RegistryChange::ToolRegistered,
        tenant_id: None,
        tenant: None,
        subject: subject.to_owned(),
        actor: "test".to_owned(),
        epoch: Epoch(1),
        at: build::NOW,
    }))]
}

#[tokio::test(flavor = "multi_thread")]
async fn control_events_reach_the_other_replicas_and_do_so_again_after_a_crash() {
    let server = Server::without_fsync();
    server.create_database("events", "template0");
    let url = server.url("events");
    PostgresStore::migrate(&url).await.unwrap();
    let (here, there) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
    let (own, other) = tokio::join!(
        PostgresStore::open(&url, Options::default()),
        PostgresStore::open(&url, Options::default()),
    );
    let own = own.unwrap().carry_events(here.clone());
    let _other = other.unwrap().carry_events(there.clone());
    // Listening begins in its own time; what is sent before is not heard.
    let until_heard = async |subject: &str| {
        let telling = async {
            loop {
                own.publish(registry_event(subject));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! { () = there.hears(subject) => {}, () = telling => {} }
    };
    until_heard("first").await;
    own.publish(registry_event(&"too large ".repeat(1_000)));
    own.publish(registry_event("second"));
    there.hears("second").await;
    assert!(!there.0.lock().unwrap().iter().any(|heard| heard.starts_with("too large")));
    server.restart();
    until_heard("third").await;
    assert_eq!(*here.0.lock().unwrap(), [""; 0], "a replica does not hear its own events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_share_a_quota_exactly() {
    const LIMIT: u64 = 1_000;
    let database = Database::new().await;
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    scene(&stores[0]).await;
    let control = control(&stores[0]).await;
    let check = build::check(&control, "acme", "search").quota(LIMIT, Window::DAY);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(&stores[task % 2]);
            let (check, control) = (check.clone(), Arc::clone(&control));
            tokio::spawn(async move {
                let mut allowed = 0;
                // 64 tasks, 5 batches, 1 to 8 each: 1,440 calls.
                for _ in 0..5 {
                    let size = task % 8 + 1;
                    allowed += commit(&store, &check, &control, size).await.unwrap().len();
                }
                allowed
            })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += task.await.unwrap();
    }
    assert_eq!(allowed, 1_000);
    let counters = stores[1].counters(None, build::NOW, Page::first(10)).await.unwrap().items;
    assert_eq!((counters.len(), counters[0].used), (1, LIMIT));
    assert_eq!(database.query("SELECT count(*) FROM policy_logs"), "1440");
}

/// One replica kills and restores while the other commits what it decided before: nothing that is
/// sent after a kill returned, and before its restore is asked for, is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_allowed_at_another_replica_after_a_kill_returned() {
    let database = Database::new().await;
    let (killer, store) = (database.open().await, Arc::new(database.open().await));
    let tool = scene(&killer).await;
    let control = control(&store).await;
    let check = build::check(&control, "acme", "search");
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..6)
        .map(|_| {
            let (store, check, control) = (Arc::clone(&store), check.clone(), Arc::clone(&control));
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut allowed = 0;
                while !stop.load(Ordering::Relaxed) {
                    allowed += commit(&store, &check, &control, 3).await.unwrap().len();
                }
                allowed
            })
        })
        .collect();
    for _ in 0..200 {
        let killed = killer.kill(build::kill(build::scope_of(&tool))).await.unwrap();
        assert!(commit(&store, &check, &control, 2).await.unwrap().is_empty(), "{killed}");
        // Whatever the load got in while the kill held, the log says under which epoch.
        let restored = killer.restore(build::restore(build::scope_of(&tool), build::NOW)).await;
        restored.unwrap();
        assert_eq!(commit(&store, &check, &control, 1).await.unwrap().len(), 1);
    }
    stop.store(true, Ordering::Relaxed);
    let mut allowed = 0;
    for task in load {
        allowed += task.await.unwrap();
    }
    assert!(allowed > 0, "the load was allowed in between");
    // The tool was registered at epoch 1; kills begin the even epochs.
    let wrong = "SELECT count(*) FROM policy_logs WHERE decision = 'allow' AND epoch % 2 = 0";
    assert_eq!(database.query(wrong), "0");
    let denied = "SELECT count(*) > 0 FROM policy_logs WHERE code = 'killed' AND epoch % 2 = 0";
    assert_eq!(database.query(denied), "t");
}
