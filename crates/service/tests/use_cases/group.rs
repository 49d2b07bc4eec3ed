//! How items are gathered into groups, in a time that advances only when every task sleeps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use sentinel_service::group::{Delay, Group, GroupWriter, Grouping, Settled, Waiting, take_within};
use sentinel_telemetry::SpanContext;
use tokio::time::{Instant, sleep};

/// Takes a while for each group, and remembers how large it was.
#[derive(Default)]
struct SlowWriter {
    groups: Mutex<Vec<usize>>,
}

const WRITE: Duration = Duration::from_millis(2);
const PROMPT: Delay = Delay::Fixed(Duration::ZERO);

#[async_trait]
impl GroupWriter for SlowWriter {
    type Item = u32;
    type Answer = u32;

    async fn write(&self, queue: &mut Vec<Waiting<u32, u32>>) -> Vec<Settled<u32>> {
        self.groups.lock().unwrap().push(queue.len());
        sleep(WRITE).await;
        queue.drain(..).map(|Waiting { item, answer, .. }| (answer, Ok(item))).collect()
    }
}

/// The groups that so many clients make, each of whom asks ten times, and the time it took them.
async fn run(clients: u32, delay: Delay) -> (Vec<usize>, Duration) {
    let writer = Arc::new(SlowWriter::default());
    let group = Group::start(Arc::clone(&writer), 1024, Grouping { most: 1024, delay });
    let started = Instant::now();
    join_all((0..clients).map(|client| {
        let group = &group;
        async move {
            // Half of them are out of step with the other half.
            sleep(Duration::from_millis(u64::from(client % 2))).await;
            for _ in 0..10 {
                assert_eq!(group.submit(client).await.unwrap(), client);
                sleep(Duration::from_micros(500)).await;
            }
        }
    }))
    .await;
    let groups = std::mem::take(&mut *writer.groups.lock().unwrap());
    assert_eq!(groups.iter().sum::<usize>(), clients as usize * 10, "each is written once");
    (groups, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_delay_under_load_makes_fewer_and_larger_groups() {
    let (prompt, _) = run(40, PROMPT).await;
    for delay in [Delay::Fixed(WRITE), Delay::Adaptive] {
        let (delayed, took) = run(40, delay).await;
        let (few, many) = (delayed.len(), prompt.len());
        assert!(few * 3 < many * 2, "{few} groups with {delay:?}, not {many}");
        assert!(took < Duration::from_millis(80), "a complete group waits no longer: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_not_asked_for_is_a_part_of_the_write() {
    let writer = Arc::new(SlowWriter::default());
    let grouping = Grouping { most: 1024, delay: Delay::Adaptive };
    let group = Group::start(Arc::clone(&writer), 1024, grouping);
    join_all((0..40).map(|item| group.submit(item))).await;
    let started = Instant::now();
    // Nine in ten of the forty never come back.
    group.submit(0).await.unwrap();
    assert_eq!(started.elapsed(), WRITE + WRITE / 2);
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_up_no_one_where_there_is_little_load() {
    let without = run(4, PROMPT).await;
    for delay in [Delay::Fixed(Duration::from_secs(1)), Delay::Adaptive] {
        assert_eq!(run(4, delay).await, without);
    }
}

/// Writes as many as weigh a hundred together.
#[derive(Default)]
struct WeighingWriter {
    groups: Mutex<Vec<Vec<u32>>>,
}

#[async_trait]
impl GroupWriter for WeighingWriter {
    type Item = u32;
    type Answer = u32;

    async fn write(&self, queue: &mut Vec<Waiting<u32, u32>>) -> Vec<Settled<u32>> {
        let taken = take_within(queue, 100, |item| *item as usize);
        self.groups.lock().unwrap().push(taken.iter().map(|waiting| waiting.item).collect());
        taken.into_iter().map(|Waiting { item, answer, .. }| (answer, Ok(item))).collect()
    }
}

#[tokio::test]
async fn a_group_is_no_heavier_than_it_may_be_and_keeps_the_order() {
    let writer = Arc::new(WeighingWriter::default());
    let grouping = Grouping { most: 1024, delay: PROMPT };
    let group = Group::start(Arc::clone(&writer), 1024, grouping);
    let items = [40, 60, 1, 500, 99, 2];
    let results = join_all(items.map(|item| group.submit(item))).await;
    assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), items);
    let groups = writer.groups.lock().unwrap();
    // What is too heavy by itself goes alone, since no other group could take it along.
    assert_eq!(*groups, [vec![40, 60], vec![1], vec![500], vec![99], vec![2]]);
}

/// Keeps the spans of what it writes.
#[derive(Default)]
struct TracedWriter {
    spans: Mutex<Vec<Option<SpanContext>>>,
}

#[async_trait]
impl GroupWriter for TracedWriter {
    type Item = u32;
    type Answer = u32;

    async fn write(&self, queue: &mut Vec<Waiting<u32, u32>>) -> Vec<Settled<u32>> {
        let write = |waiting: Waiting<u32, u32>| {
            self.spans.lock().unwrap().push(waiting.span);
            (waiting.answer, Ok(waiting.item))
        };
        queue.drain(..).map(write).collect()
    }
}

#[tokio::test]
async fn the_span_of_a_request_goes_along_to_the_writer() {
    let writer = Arc::new(TracedWriter::default());
    let grouping = Grouping { most: 1024, delay: PROMPT };
    let group = Group::start(Arc::clone(&writer), 1024, grouping);
    let span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    sentinel_telemetry::within(Some(span), group.submit(1)).await.unwrap();
    group.submit(2).await.unwrap();
    assert_eq!(*writer.spans.lock().unwrap(), [Some(span), None]);
}
