//! The sequencer is broken off at each of its operations in turn, and goes on.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::prelude::*;

use crate::faults::{Fault, Faulty};
use crate::scene::{RecordingSigner, Scene, assert_clean, open, try_open};

const FAULTS: [Fault; 4] =
    [Fault::Refused, Fault::AnswerLost, Fault::KilledBefore, Fault::KilledAfter];

/// Opens the log and sequences, until the fault; returns whether it happened.
async fn run_into(store: &Arc<Faulty>, signers: &[&Arc<RecordingSigner>]) -> bool {
    let run = async {
        let Ok(log) = try_open(store.clone(), signers).await else { return };
        drop(log.sequence_now().await);
    };
    tokio::select! {
        () = run => {}
        () = store.stuck.notified() => {}
    }
    store.came_to_pass()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_batches_the_tree_is_the_same() {
    let scene = Scene::new().await;
    let signer = RecordingSigner::new("log.example");
    let log = open(scene.store.clone(), &[&signer]).await;
    let mut leaves = 2;
    // The last are more than one step takes.
    for batch in [1, 1, 252, 1, 1, 255, 300, 9000] {
        scene.append(batch).await;
        leaves += batch as u64;
        log.sequence_now().await.unwrap();
        assert_eq!(assert_clean(scene.store.as_ref(), &[&signer]).await, [leaves]);
    }
    // One for each batch, and one more for the last; nothing is signed when nothing is new.
    log.sequence_now().await.unwrap();
    assert_eq!(signer.signed().len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_off_anywhere_it_goes_on() {
    let scene = Scene::new().await;
    let signer = RecordingSigner::new("log.example");
    let (mut leaves, mut tried) = (2, 0);
    for fault in FAULTS {
        for operation in 0.. {
            scene.append(97).await;
            leaves += 97;
            let faulty = Faulty::planted(scene.store.clone(), operation, fault);
            if !run_into(&faulty, &[&signer]).await {
                break;
            }
            tried += 1;
            assert_clean(scene.store.as_ref(), &[&signer]).await;
            let store = Arc::new(Faulty::new(scene.store.clone(), Duration::ZERO));
            open(store, &[&signer]).await.sequence_now().await.unwrap();
            let clean = assert_clean(scene.store.as_ref(), &[&signer]).await;
            assert_eq!(clean, [leaves], "{fault:?} at {operation}");
        }
    }
    assert!(tried > 4 * 10, "{tried} operations were broken off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beginning_that_is_broken_off_anywhere_goes_on() {
    let signer = RecordingSigner::new("log.example");
    for fault in FAULTS {
        for operation in 0..7 {
            let scene = Scene::empty().await;
            let faulty = Faulty::planted(scene.store.clone(), operation, fault);
            assert!(run_into(&faulty, &[&signer]).await, "{fault:?} at {operation}");
            let store = Arc::new(Faulty::new(scene.store.clone(), Duration::ZERO));
            open(store, &[&signer]).await.sequence_now().await.unwrap();
            assert_eq!(scene.store.log_shards().await.unwrap().len(), 1);
            assert_eq!(scene.store.log_head(1).await.unwrap().unwrap().size, 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_broken_off_anywhere_goes_on() {
    let scene = Scene::empty().await;
    let mut signers = vec![RecordingSigner::new("log-0.example")];
    open(scene.store.clone(), &[&signers[0]]).await;
    let (mut sizes, mut tried) = (vec![2], 0);
    for fault in FAULTS {
        for operation in 0.. {
            scene.append(30).await;
            *sizes.last_mut().unwrap() += 30;
            let old = signers.last().unwrap().clone();
            let new = RecordingSigner::new(&format!("log-{}.example", signers.len()));
            let faulty = Faulty::planted(scene.store.clone(), operation, fault);
            let came_to_pass = run_into(&faulty, &[&new, &old]).await;
            let store = Arc::new(Faulty::new(scene.store.clone(), Duration::ZERO));
            let log = open(store, &[&new, &old]).await;
            // What is open by now is sequenced, whichever it is.
            log.sequence_now().await.unwrap();
            log.sequence_now().await.unwrap();
            signers.push(new);
            sizes.push(1);
            let all: Vec<_> = signers.iter().map(AsRef::as_ref).collect();
            let clean = assert_clean(scene.store.as_ref(), &all).await;
            assert_eq!(clean, sizes, "{fault:?} at {operation}");
            if !came_to_pass {
                break;
            }
            tried += 1;
        }
    }
    assert!(tried > 4 * 12, "{tried} operations were broken off");
}
