//! Several would lead; one does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_core::ports::prelude::*;
use sentinel_service::ServiceError;
use sentinel_service::log::follow;

use crate::faults::Faulty;
use crate::scene::{RecordingSigner, Scene, append, assert_clean, open};

fn why(result: Result<(), ServiceError>) -> String {
    match result {
        Err(ServiceError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Whether each step begins where the one before ended, and no two are of one size.
fn assert_in_order(store: &Faulty) -> usize {
    let mut size = 0;
    let published = store.published.lock().unwrap();
    for step in published.iter() {
        assert_eq!(step.from, size, "{published:?}");
        assert!(step.size > step.from);
        size = step.size;
    }
    published.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_sequence_at_once_never_both_publish() {
    let scene = Scene::new().await;
    let signer = RecordingSigner::new("log.example");
    // So short that the lead changes in the middle of steps.
    let store = Arc::new(Faulty::new(scene.store.clone(), Duration::from_micros(200)));
    let (base, tenant) = (scene.store.clone(), scene.tenant);
    let appending = tokio::spawn(async move {
        for round in 0..60 {
            append(base.as_ref(), tenant, 1 + round % 7).await;
        }
    });
    let appending = Arc::new(tokio::sync::Mutex::new(appending));
    let mut sequencing = Vec::new();
    for _ in 0..4 {
        let log = open(store.clone(), &[&signer]).await;
        let appending = Arc::clone(&appending);
        sequencing.push(tokio::spawn(async move {
            loop {
                log.sequence_now().await.unwrap();
                if appending.try_lock().is_ok_and(|task| task.is_finished()) {
                    return;
                }
            }
        }));
    }
    for task in sequencing {
        task.await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    open(store.clone(), &[&signer]).await.sequence_now().await.unwrap();
    let leaves = scene.store.leaves(1, 0, u32::MAX).await.unwrap().len() as u64;
    assert_eq!(assert_clean(scene.store.as_ref(), &[&signer]).await, [leaves]);
    let published = assert_in_order(&store);
    let signed = signer.signed().len();
    assert!(signed > published, "no leader was deposed: {signed} signed, {published} published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stood_still_for_longer_than_its_lease_publishes_nothing() {
    let scene = Scene::new().await;
    let (slow, quick) = (RecordingSigner::new("log.example"), RecordingSigner::new("log.example"));
    let store = Arc::new(Faulty::new(scene.store.clone(), Duration::from_millis(50)));
    let first = Arc::new(open(store.clone(), &[&slow]).await);
    let second = open(store.clone(), &[&quick]).await;
    scene.append(10).await;
    slow.permits.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let standing = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.sequence_now().await }
    });
    while slow.signed().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    second.sequence_now().await.unwrap();
    assert!(quick.signed().is_empty(), "the lead was taken before it ran out");
    tokio::time::sleep(Duration::from_millis(100)).await;
    scene.append(10).await;
    second.sequence_now().await.unwrap();
    assert_eq!(assert_clean(scene.store.as_ref(), &[&slow, &quick]).await, [22]);
    // It goes on, with the signature in its hand.
    slow.permits.add_permits(1);
    standing.await.unwrap().unwrap();
    assert_eq!(assert_in_order(&store), 1);
    assert_eq!(assert_clean(scene.store.as_ref(), &[&slow, &quick]).await, [22]);
    assert_ne!(slow.signed(), quick.signed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_the_key_leaves_the_lead_to_others() {
    let scene = Scene::new().await;
    let (able, other) =
        (RecordingSigner::new("log.example"), RecordingSigner::new("other.example"));
    let log = open(scene.store.clone(), &[&able]).await;
    let unable = open(scene.store.clone(), &[&other]).await;
    scene.append(3).await;
    let why = why(unable.sequence_now().await);
    assert!(why.contains("no key for log `log.example`"), "{why}");
    assert!(other.signed().is_empty());
    // At once, not when a lease has run out.
    log.sequence_now().await.unwrap();
    assert_eq!(assert_clean(scene.store.as_ref(), &[&able]).await, [5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_key_fails_leaves_the_lead_to_others() {
    let scene = Scene::new().await;
    let (broken, able) = (RecordingSigner::new("log.example"), RecordingSigner::new("log.example"));
    let store = Arc::new(Faulty::new(scene.store.clone(), Duration::from_secs(600)));
    let failing = Arc::new(open(store.clone(), &[&broken]).await);
    let log = open(store, &[&able]).await;
    broken.permits.close();
    scene.append(3).await;
    let following = tokio::spawn(follow(Arc::downgrade(&failing)));
    let started = Instant::now();
    while able.signed().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "the lead was never given up");
        tokio::time::sleep(Duration::from_millis(10)).await;
        if !broken.signed().is_empty() {
            log.sequence_now().await.unwrap();
        }
    }
    drop(failing);
    following.await.unwrap();
    assert_eq!(assert_clean(scene.store.as_ref(), &[&able]).await, [5]);
}
