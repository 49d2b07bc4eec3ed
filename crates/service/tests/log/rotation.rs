//! The log goes on in another shard, with another key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_core::log::{LogPlace, StatementKind};
use sentinel_core::ports::prelude::*;
use sentinel_provenance::log::{EntryTile, HashedRekord, Tile, TilePath, parse_entries};
use sentinel_provenance::{
    Bundle, EcdsaP256Signer, LogShardStart, LogTrust, Signer as _, Statement,
    verify_logged_bundle_json,
};
use sentinel_service::log::CheckpointSigner;
use sentinel_service::provenance::{SignRequest, Signed};
use sentinel_service::signing::Signing;
use sentinel_service::{Ports, ServiceError, Services, Settings};
use sentinel_testkit::build::name;
use serde_json::Map;

use crate::scene::{RecordingSigner, Scene, assert_clean, open};
use crate::support::{ADMIN, App, ports};

async fn start(
    app: &App,
    signer: &Arc<EcdsaP256Signer>,
    keys: &[&Arc<RecordingSigner>],
) -> Arc<Services> {
    let checkpoints = keys.iter().map(|key| Arc::clone(key) as Arc<dyn CheckpointSigner>).collect();
    let ports = Ports {
        signing: Signing::Direct(signer.clone()),
        checkpoints,
        ..ports(app.store.clone(), &app.policy, &app.clock)
    };
    Arc::new(Services::start(ports, Settings::default()).await.unwrap())
}

async fn sign(services: &Services) -> Signed {
    let request = SignRequest {
        tenant: name("secops"),
        tool: name("runbook"),
        action: name("read"),
        purpose: None,
        agent: None,
        payload: b"a payload".to_vec(),
        keep_payload: false,
        decision_id: None,
        decision: None,
        idempotency_key: None,
        metadata: Map::new(),
    };
    services.provenance.sign(&ADMIN, request).await.unwrap()
}

async fn bundle(services: &Services, signed: &Signed) -> Vec<u8> {
    let stored = services.store.manifest(signed.manifest.id).await.unwrap().unwrap();
    assert_eq!(stored.place, Some(signed.place));
    services.provenance.bundle(&stored).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_goes_on_in_a_new_shard_under_load() {
    let app = App::start().await;
    let signer = Arc::new(EcdsaP256Signer::generate().unwrap());
    // The key that `App` has given the log.
    let (old, new) = (RecordingSigner::new("log.example"), RecordingSigner::new("next.example"));
    let before = sign(&app.services).await;
    let early = bundle(&app.services, &before).await;
    let early_root = app.services.log.trusted_root().unwrap();
    app.services.log.resign().await.unwrap();

    let services = start(&app, &signer, &[&new, &old]).await;
    let until = Instant::now() + Duration::from_secs(2);
    let load = (0..8).map(|_| {
        let services = Arc::clone(&services);
        tokio::spawn(async move {
            let mut all = Vec::new();
            while Instant::now() < until {
                all.push(sign(&services).await);
            }
            all
        })
    });
    let mut all = Vec::new();
    for task in load.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }

    let places: BTreeSet<_> = all.iter().map(|signed| signed.place).collect();
    assert_eq!(places.len(), all.len(), "a place was given twice");
    let count = |shard| places.iter().filter(|place| place.shard == shard).count() as u64;
    assert!(count(1) > 0 && count(2) > 0, "{} and {}", count(1), count(2));
    // The beginning of each shard, two keys, and what was signed before.
    let expected = (4..4 + count(1)).map(|index| LogPlace { shard: 1, index });
    let expected = expected.chain((1..=count(2)).map(|index| LogPlace { shard: 2, index }));
    assert_eq!(places, expected.collect());

    let trust = LogTrust { root: services.log.trusted_root().unwrap(), witnesses: None };
    let first_and_last = |shard| {
        let of_shard = all.iter().filter(move |signed| signed.place.shard == shard);
        let first = of_shard.clone().min_by_key(|signed| signed.place).unwrap();
        [first, of_shard.max_by_key(|signed| signed.place).unwrap()]
    };
    for signed in first_and_last(1).into_iter().chain(first_and_last(2)) {
        let bundle = bundle(&services, signed).await;
        let verified = verify_logged_bundle_json(&bundle, signer.public_key(), &trust, None);
        assert!(verified.verified(), "{:?}: {:?}", signed.place, verified.checks());
    }
    // What was handed out before stays good, under both trusted roots.
    let entry = Bundle::parse(&early).unwrap();
    let key = HashedRekord::parse(&entry.verification_material.tlog_entries[0].canonicalized_body);
    let key = key.unwrap().key().clone();
    for trust in [&trust, &LogTrust { root: early_root, witnesses: None }] {
        assert!(verify_logged_bundle_json(&early, &key, trust, None).verified());
    }
    let sizes = assert_clean(app.store.as_ref(), &[&old, &new]).await;
    assert_eq!(sizes, [4 + count(1), 1 + count(2)]);
    assert_continued(&services, count(1) + 4).await;
}

/// The first leaf of the second shard names the last checkpoint of the first, whose files stay.
async fn assert_continued(services: &Services, size: u64) {
    let log = &services.log;
    let last = log.checkpoint(Some("log.example")).await.unwrap().unwrap();
    let last = String::from_utf8(last.content).unwrap();
    assert!(last.starts_with(&format!("log.example\n{size}\n")), "{last}");
    let starts = log.store().statements(StatementKind::LogShard).await.unwrap();
    assert_eq!(starts.len(), 2);
    let second = Bundle::parse(starts[1].bundle.as_bytes()).unwrap();
    let said = Statement::<LogShardStart>::parse(second.envelope.payload()).unwrap();
    let predecessor = said.predicate().predecessor.clone().unwrap();
    assert_eq!((predecessor.origin.as_str(), &predecessor.checkpoint), ("log.example", &last));
    assert_eq!(said.predicate().origin, "next.example");

    let first = EntryTile::new(0, 1).unwrap();
    let file = log.tile(None, TilePath::Entries(first)).await.unwrap().unwrap();
    let open = log.tile(Some("next.example"), TilePath::Entries(first)).await.unwrap().unwrap();
    assert_eq!(file.content, open.content, "the open shard is the newest");
    let leaves = parse_entries(&file.content, 1).unwrap();
    let leaf = HashedRekord::parse(leaves[0]).unwrap();
    assert_eq!(leaf.signature(), second.envelope.signature());

    let entries = EntryTile::in_tree(0, size).unwrap();
    let file = log.tile(Some("log.example"), TilePath::Entries(entries)).await.unwrap().unwrap();
    let leaves = parse_entries(&file.content, entries.width()).unwrap();
    assert_eq!(leaves.len(), usize::from(entries.width()));
    let hashes = Tile::in_tree(0, 0, size).unwrap();
    let file = log.tile(Some("log.example"), TilePath::Hashes(hashes)).await.unwrap().unwrap();
    assert_eq!(file.content.len(), 32 * usize::from(hashes.width()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_old_key_waits_and_says_so() {
    let scene = Scene::new().await;
    let (old, new) = (RecordingSigner::new("log.example"), RecordingSigner::new("next.example"));
    let before = open(scene.store.clone(), &[&old]).await;
    before.sequence_now().await.unwrap();
    before.resign().await.unwrap();
    let waiting = open(scene.store.clone(), &[&new]).await;
    scene.append(5).await;
    let refused = waiting.sequence_now().await;
    let Err(ServiceError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("no key for log `log.example`"), "{why}");
    assert_eq!(scene.store.log_shards().await.unwrap().len(), 1);
    scene.append(1).await;

    let both = open(scene.store.clone(), &[&new, &old]).await;
    both.sequence_now().await.unwrap();
    both.resign().await.unwrap();
    waiting.sequence_now().await.unwrap();
    assert_eq!(assert_clean(scene.store.as_ref(), &[&old, &new]).await, [8, 1]);
    // And the one that has only the old key goes on in the background, without a say.
    let refused = before.sequence_now().await;
    assert!(refused.is_ok(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_does_not_go_back_to_an_earlier_name() {
    let scene = Scene::new().await;
    let (old, new) = (RecordingSigner::new("log.example"), RecordingSigner::new("next.example"));
    open(scene.store.clone(), &[&old]).await;
    let log = open(scene.store.clone(), &[&new, &old]).await;
    log.sequence_now().await.unwrap();
    log.sequence_now().await.unwrap();
    log.resign().await.unwrap();
    let back = open(scene.store.clone(), &[&old, &new]).await;
    let refused = back.sequence_now().await;
    let Err(ServiceError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("`log.example` was the name of another shard"), "{why}");
    scene.append(1).await;
    log.sequence_now().await.unwrap();
    assert_eq!(assert_clean(scene.store.as_ref(), &[&old, &new]).await, [2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_says_when_the_log_is_behind() {
    let app = App::start().await;
    let signer = Arc::new(EcdsaP256Signer::generate().unwrap());
    app.services.log.resign().await.unwrap();
    // It has not the key of the log, and takes no part.
    let services = start(&app, &signer, &[&RecordingSigner::new("other.example")]).await;
    let App { services: able, store, .. } = app;
    let log = Arc::downgrade(&able.log);
    drop(able);
    while log.strong_count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let signed = sign(&services).await;
    let stored = store.manifest(signed.manifest.id).await.unwrap().unwrap();
    let behind = services.provenance.bundle(&stored).await.map(drop);
    let Err(ServiceError::LogBehind { index }) = behind else { panic!("{behind:?}") };
    assert_eq!(index, signed.place.index);
}
