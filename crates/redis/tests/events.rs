//! Events between replicas, over a real Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::event::{Bus, Event, KillEvent};
use sentinel_core::kill::KillScope;
use sentinel_redis::{EventSettings, RedisEvents, RedisTarget};
use sentinel_testkit::build;
use sentinel_testkit::redis::RedisServer;

/// Keeps what another replica sent.
#[derive(Debug, Default)]
struct Sink(Mutex<Vec<Event>>);

impl Bus for Sink {
    fn publish(&self, events: Vec<Event>) {
        self.0.lock().unwrap().extend(events);
    }
}

impl Sink {
    fn seen(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// How many events of that name came.
    fn count(&self, name: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|event| event.name() == name).count()
    }
}

struct Replica {
    events: RedisEvents,
    sink: Arc<Sink>,
}

impl Replica {
    fn start(server: &RedisServer, settings: EventSettings) -> Self {
        let target = RedisTarget::new(&server.url(), None).unwrap();
        let sink = Arc::new(Sink::default());
        let events = RedisEvents::start(&target, settings, sink.clone()).unwrap();
        Self { events, sink }
    }

    async fn following(server: &RedisServer) -> Self {
        let replica = Self::start(server, EventSettings::default());
        within(10, replica.events.following()).await;
        replica
    }
}

async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), future).await.expect("it takes too long")
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn killed(epoch: u64) -> Event {
    let mut kill = build::kill(KillScope::Global);
    kill.epoch = Epoch(epoch);
    Event::Killed(Arc::new(KillEvent {
        actor: kill.actor.clone(),
        at: kill.created_at,
        epoch: Epoch(epoch),
        tenant: None,
        tool: None,
        kill,
    }))
}

fn checked() -> Event {
    let control = Arc::new(ControlState::default());
    Event::Checked(Arc::new(build::check(&control, "secops", "runbook").pending().record))
}

const KILLED: &str = "kill_switch.disabled";
const DENIED: &str = "policy.check.deny";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_see_each_others_events_once_and_not_their_own() {
    let server = RedisServer::start();
    let (a, b) = (Replica::following(&server).await, Replica::following(&server).await);
    let of_a = vec![checked(), killed(7), checked()];
    a.events.publish(of_a.clone());
    b.events.publish(vec![killed(8)]);
    until("b has what a sent", || b.sink.seen().len() == 3).await;
    until("a has what b sent", || a.sink.seen().len() == 1).await;
    // A later one shows that nothing came twice meanwhile.
    a.events.publish(vec![checked(), killed(9)]);
    until("b has the later ones", || b.sink.seen().len() == 5).await;
    for event in of_a {
        assert_eq!(b.sink.seen().iter().filter(|seen| **seen == event).count(), 1);
    }
    assert_eq!(a.sink.seen().len(), 1);
    assert_eq!(*b.events.epochs().borrow(), Epoch(9));
    assert_eq!(*a.events.epochs().borrow(), Epoch(8));
    let counters = b.events.counters();
    assert_eq!((counters.sent, counters.received, counters.missed_groups), (1, 5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deployments_with_another_prefix_hear_nothing() {
    let server = RedisServer::start();
    let other = EventSettings { prefix: "other".to_owned(), ..EventSettings::default() };
    let (a, b) = (Replica::following(&server).await, Replica::following(&server).await);
    let stranger = Replica::start(&server, other);
    within(10, stranger.events.following()).await;
    a.events.publish(vec![killed(1)]);
    until("b hears", || b.sink.count(KILLED) == 1).await;
    assert_eq!(stranger.sink.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_does_not_wait_for_a_hundred_thousand_decisions() {
    let server = RedisServer::start();
    let settings =
        EventSettings { queue: 200_000, queue_bytes: usize::MAX, ..EventSettings::default() };
    let (a, b) = (Replica::start(&server, settings), Replica::following(&server).await);
    within(10, a.events.following()).await;
    let decision = checked();
    a.events.publish(vec![decision; 100_000]);
    let start = Instant::now();
    a.events.publish(vec![killed(1)]);
    assert!(start.elapsed() < Duration::from_millis(50), "publishing waited");
    until("the kill arrives", || b.sink.count(KILLED) == 1).await;
    let (took, before) = (start.elapsed(), b.sink.count(DENIED));
    assert!(before < 90_000, "the kill came after {before} decisions, {took:?}");
    assert_eq!(a.events.counters().dropped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_drops_decisions_and_counts_them_but_no_kill() {
    let mut server = RedisServer::start();
    let settings = EventSettings { queue: 100, ..EventSettings::default() };
    let a = Replica::start(&server, settings);
    within(10, a.events.following()).await;
    let b = Replica::following(&server).await;
    server.kill();
    a.events.publish(vec![killed(1)]);
    let decision = checked();
    let start = Instant::now();
    for _ in 0..1000 {
        a.events.publish(vec![decision.clone(); 10]);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "publishing waited for redis");
    let counters = a.events.counters();
    assert!(counters.dropped >= 9000, "{counters:?}");
    assert_eq!(counters.dropped_control, 0);
    server.restart();
    until("the kill arrives after all", || b.sink.count(KILLED) == 1).await;
    until("so do the decisions that were kept", || b.sink.count(DENIED) >= 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_flow_again_after_redis_lost_everything() {
    let mut server = RedisServer::start();
    let (a, b) = (Replica::following(&server).await, Replica::following(&server).await);
    for round in 1..=3 {
        a.events.publish(vec![killed(round), checked()]);
        until("b hears", || b.sink.count(KILLED) as u64 == round).await;
        until("b hears of decisions", || b.sink.count(DENIED) as u64 == round).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart();
    }
    assert_eq!(b.events.counters().missed_groups, 0);
    assert!(b.events.counters().disconnects >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_ids_start_over_is_read_from_its_start() {
    let server = RedisServer::start();
    let target = client(&server);
    let mut admin = target.get_multiplexed_async_connection().await.unwrap();
    // Identifiers far in the future, as a clock that was wrong leaves them.
    let future = "9999999999999-1";
    let group = redis::cmd("XADD").arg("sentinel:control").arg(future).arg("x").arg("y").to_owned();
    group.query_async::<()>(&mut admin).await.unwrap();
    let (a, b) = (Replica::following(&server).await, Replica::following(&server).await);
    redis::cmd("FLUSHALL").query_async::<()>(&mut admin).await.unwrap();
    a.events.publish(vec![killed(1)]);
    until("b hears all the same", || b.sink.count(KILLED) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_counted_and_skipped() {
    let server = RedisServer::start();
    let (a, b) = (Replica::following(&server).await, Replica::following(&server).await);
    let mut admin = client(&server).get_multiplexed_async_connection().await.unwrap();
    let replica = uuid::Uuid::new_v4().to_string();
    for fields in [vec!["x", "y"], vec!["r", &replica, "n", "1", "e", "[{\"nonsense\":1}]"]] {
        let mut command = redis::cmd("XADD");
        command.arg("sentinel:control").arg("*").arg(&fields);
        command.query_async::<()>(&mut admin).await.unwrap();
    }
    a.events.publish(vec![killed(1)]);
    until("b hears what follows", || b.sink.count(KILLED) == 1).await;
    assert_eq!(b.events.counters().malformed_groups, 2);
    assert_eq!(b.sink.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_larger_than_an_entry_is_dropped_and_the_rest_arrives() {
    let server = RedisServer::start();
    let settings = EventSettings { max_entry_bytes: 2048, ..EventSettings::default() };
    let (a, b) = (Replica::start(&server, settings), Replica::following(&server).await);
    let Event::Checked(record) = checked() else { panic!("not a decision") };
    let mut large = (*record).clone();
    large.reason = "x".repeat(4096);
    let mut events = vec![Event::Checked(record); 20];
    events.insert(10, Event::Checked(Arc::new(large)));
    a.events.publish(events);
    until("the others arrive", || b.sink.count(DENIED) == 20).await;
    within(5, a.events.flush()).await;
    let counters = a.events.counters();
    assert_eq!((counters.sent, counters.dropped), (20, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_given_up_and_nothing_is_lost() {
    let server = RedisServer::start();
    let (a, b) = (Replica::following(&server).await, Replica::following(&server).await);
    server.pause();
    a.events.publish(vec![killed(1)]);
    // Longer than a write may take: the group is written again, and known by its number.
    tokio::time::sleep(Duration::from_millis(4500)).await;
    assert!(a.events.counters().disconnects > 0);
    server.resume();
    until("the kill arrives", || b.sink.count(KILLED) >= 1).await;
    a.events.publish(vec![killed(2)]);
    until("so does the next", || b.sink.count(KILLED) >= 2).await;
    assert_eq!(b.sink.count(KILLED), 2, "a group that was written twice is handed on once");
}

fn client(server: &RedisServer) -> redis::Client {
    redis::Client::open(server.url()).unwrap()
}
