//! What is stored is not what was signed: nothing more is signed.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::ports::prelude::*;
use sentinel_service::ServiceError;

use crate::faults::Faulty;
use crate::scene::{RecordingSigner, Scene, append, assert_clean, open, reopen, try_open};

/// Ten leaves that are sequenced, and ten that are not.
async fn half_sequenced() -> Scene {
    let scene = Scene::new().await;
    scene.append(8).await;
    let signer = RecordingSigner::new("log.example");
    let log = open(scene.store.clone(), &[&signer]).await;
    log.sequence_now().await.unwrap();
    log.resign().await.unwrap();
    scene.append(10).await;
    assert_eq!(assert_clean(scene.store.as_ref(), &[&signer]).await, [10]);
    scene
}

/// Why nothing is signed in a database that was edited.
async fn refusal(sql: &str) -> String {
    let scene = half_sequenced().await.edited(sql).await;
    let before = scene.store.log_head(1).await.unwrap();
    let signer = RecordingSigner::new("log.example");
    let refused = match try_open(scene.store.clone(), &[&signer]).await {
        Ok(log) => log.sequence_now().await,
        Err(error) => Err(error),
    };
    assert!(signer.signed().is_empty(), "signed after `{sql}`");
    assert_eq!(scene.store.log_head(1).await.unwrap(), before);
    match refused {
        Err(ServiceError::Unavailable(why)) => why,
        other => panic!("{other:?} after `{sql}`"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_leaf_stops_the_log() {
    for (index, condition) in [(12, "= 12"), (19, "= 19"), (10, ">= 10")] {
        let why = refusal(&format!(
            "DROP TRIGGER log_entries_are_kept; DELETE FROM log_entries WHERE log_index {condition}"
        ))
        .await;
        assert!(why.contains(&format!("leaf {index} of shard 1 of the log is missing")), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_tile_stops_the_log() {
    for sql in [
        "UPDATE log_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0",
        "UPDATE log_tiles SET hashes = substr(hashes, 33) WHERE level = 0",
        "UPDATE log_tiles SET hashes = substr(hashes, 2) WHERE level = 0",
        "DELETE FROM log_tiles",
    ] {
        let why = refusal(sql).await;
        assert!(why.contains("tile"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_head_stops_the_log() {
    for sql in [
        "UPDATE log_heads SET frontier = zeroblob(length(frontier))",
        // Of the empty tree, whose beginning would be signed again.
        "UPDATE log_heads SET frontier = zeroblob(8), size = 0",
        "UPDATE log_heads SET size = 9",
        "UPDATE log_heads SET size = 11",
        "UPDATE log_heads SET checkpoint = NULL",
        "UPDATE log_heads SET checkpoint = replace(checkpoint, '10', '11')",
        "UPDATE log_heads SET checkpoint = replace(checkpoint, 'log.example', 'lag.example')",
        "UPDATE log_shards SET verifier_key = 'log.example+00000000+AQ=='",
    ] {
        let why = refusal(sql).await;
        let says = ["checkpoint", "frontier", "key of log", "had 10 leaves"];
        assert!(says.iter().any(|part| why.contains(part)), "{why}");
    }
}

/// An older state, brought back under a running server, agrees with itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_goes_back_stops_the_log() {
    let Scene { folder, store, tenant } = half_sequenced().await;
    drop(store);
    drop(reopen(&folder).await);
    let backup = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), backup.path().join(file.file_name())).unwrap();
    }
    let signer = RecordingSigner::new("log.example");
    let faulty = Arc::new(Faulty::new(reopen(&folder).await, Duration::ZERO));
    let log = open(faulty.clone(), &[&signer]).await;
    log.sequence_now().await.unwrap();
    assert_eq!(signer.signed().len(), 1);
    let restored = reopen(&backup).await;
    faulty.exchange(restored.clone());
    for _ in 0..3 {
        let Err(ServiceError::Unavailable(why)) = log.sequence_now().await else {
            panic!("what was signed is contradicted");
        };
        assert!(why.contains("had 20 leaves and now has 10"), "{why}");
        // Others take the places of those that are gone.
        append(restored.as_ref(), tenant, 10).await;
    }
    assert_eq!(signer.signed().len(), 1);
}
