//! The files of the transparency log, and bundles that wait for it.

use std::time::Duration;

use reqwest::Method;
use sentinel_core::principal::Role;
use sentinel_http::Options;
use sentinel_provenance::log::{
    Checkpoint, Frontier, SignedCheckpoint, TrustedRoot, leaf_hash, parse_entries,
};
use sentinel_provenance::{LogTrust, PublicKey, verify_logged_bundle_json};
use serde_json::json;
use uuid::Uuid;

use crate::support::{App, Wanted};

async fn sign(app: &App) -> String {
    let body = json!({
        "tenant_slug": "acme", "tool_name": "search", "action": "read", "payload": {"a": 1},
    });
    let signed = app.post(&app.admin, "/provenance/sign", &body).await.ok();
    signed["manifest_id"].as_str().unwrap().to_owned()
}

async fn file(app: &App, path: &str) -> (u16, Vec<u8>) {
    let request = app.request(Method::GET, path).bearer_auth(&app.admin.secret);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

/// None is signed yet in the first moments of a log.
async fn checkpoint(app: &App) -> Option<SignedCheckpoint> {
    let note = app.get(&app.admin, "/v1/log/checkpoint").await;
    let key = &app.services.log.shards()[0].key;
    (note.status == 200).then(|| Checkpoint::open(&note.text, key).unwrap())
}

/// Signs so much that the log has this many leaves, all of them below a checkpoint.
async fn grown_to(size: u64) -> App {
    let app = App::seeded().await;
    // Its first leaves say that it begins, and which key signs.
    futures::future::join_all((2..size).map(|_| sign(&app))).await;
    while checkpoint(&app).await.is_none_or(|signed| signed.size() < size) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_can_be_computed_anew_from_its_files() {
    let app = grown_to(300).await;
    let signed = checkpoint(&app).await.unwrap();
    assert_eq!(signed.size(), 300);
    let mut frontier = Frontier::new();
    for (tile, width) in [("000", 256), ("001.p/44", 44)] {
        let (_, hashes) = file(&app, &format!("/v1/log/tile/0/{tile}")).await;
        let (_, entries) = file(&app, &format!("/v1/log/tile/entries/{tile}")).await;
        let leaves = parse_entries(&entries, width).unwrap();
        assert_eq!(hashes.len(), 32 * usize::from(width));
        for (leaf, hash) in leaves.iter().zip(hashes.chunks(32)) {
            assert_eq!(leaf_hash(leaf).as_bytes(), hash);
            frontier.append(leaf_hash(leaf)).unwrap();
        }
        if width == 256 {
            let (_, above) = file(&app, "/v1/log/tile/1/000.p/1").await;
            assert_eq!(above, frontier.root().as_bytes());
        }
    }
    assert_eq!(frontier.root(), signed.root());

    // A tile of each width, whatever the width now.
    let (_, full) = file(&app, "/v1/log/tile/0/000").await;
    let (_, all) = file(&app, "/v1/log/tile/entries/000").await;
    for width in 1..256_usize {
        let (status, part) = file(&app, &format!("/v1/log/tile/0/000.p/{width}")).await;
        assert_eq!((status, part.as_slice()), (200, &full[..32 * width]));
        let (status, part) = file(&app, &format!("/v1/log/tile/entries/000.p/{width}")).await;
        assert_eq!(status, 200);
        assert!(all.starts_with(&part) && part.len() < all.len());
        assert_eq!(parse_entries(&part, u16::try_from(width).unwrap()).unwrap().len(), width);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beyond_the_log_is_not_found_and_what_is_no_file_is_refused() {
    let app = grown_to(10).await;
    for path in [
        "tile/0/000",
        "tile/0/000.p/11",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/7/000.p/1",
        "tile/0/x036/x028/x797/x018/x963/967",
        "tile/entries/000",
        "tile/entries/000.p/11",
        "tile/entries/001.p/1",
        "tile/entries/x036/x028/x797/x018/x963/967",
    ] {
        app.get(&app.admin, &format!("/v1/log/{path}")).await.problem(404, "unknown_log_file");
        let path = format!("/v1/logs/log.example/{path}");
        app.get(&app.admin, &path).await.problem(404, "unknown_log_file");
    }
    for origin in ["other.example", "LOG.example", "log.example%2F", "."] {
        let path = format!("/v1/logs/{origin}/tile/0/000.p/1");
        let answer = app.get(&app.admin, &path).await;
        assert!([400, 404].contains(&answer.status), "{origin}: {answer:?}");
    }
    for path in [
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/0",
        "tile/8/000",
        "tile/0/001/234",
        "tile/0/%30%30%30",
        "tile/entries",
        "tile/entries/000.p/1/",
        "tile/0/x036/x028/x797/x018/x963/968",
        "checkpoint/",
        "Checkpoint",
        "entries/000",
    ] {
        app.get(&app.admin, &format!("/v1/log/{path}")).await.problem(400, "invalid_path");
        let path = format!("/v1/logs/log.example/{path}");
        app.get(&app.admin, &path).await.problem(400, "invalid_path");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_never_changes_is_cached_and_only_for_those_who_may_read_it() {
    let forever = "max-age=31536000, immutable";
    for public in [false, true] {
        let app = App::with(Options { public_log: public, ..Options::default() }).await;
        app.seed().await;
        app.get(&app.admin, &format!("/v1/manifests/{}/bundle", sign(&app).await)).await.ok();
        let whose = if public { "public" } else { "private" };
        for (path, media, cache) in [
            ("/v1/log/checkpoint", "text/plain; charset=utf-8", "no-cache".to_owned()),
            ("/v1/logs/log.example/checkpoint", "text/plain; charset=utf-8", "no-cache".to_owned()),
            // Another shard may be open tomorrow.
            ("/v1/log/tile/0/000.p/1", "application/octet-stream", "no-cache".to_owned()),
            (
                "/v1/logs/log.example/tile/0/000.p/1",
                "application/octet-stream",
                format!("{whose}, {forever}"),
            ),
            (
                "/v1/logs/log.example/tile/entries/000.p/2",
                "application/octet-stream",
                format!("{whose}, {forever}"),
            ),
            (
                "/v1/trusted-root",
                "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "no-cache".to_owned(),
            ),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let request = app.request(method.clone(), path).bearer_auth(&app.admin.secret);
                let answer = app.send(request).await;
                assert_eq!(answer.status, 200, "{path}");
                assert_eq!(answer.header("content-type"), media, "{path}");
                assert_eq!(answer.header("cache-control"), cache, "{path}");
                assert_eq!(answer.text.is_empty(), method == Method::HEAD, "{path}");
            }
            let answer = app.send(app.request(Method::GET, path)).await;
            assert_eq!(answer.status, if public { 200 } else { 401 }, "{path} without a key");
            let posted = app.request(Method::POST, path).bearer_auth(&app.admin.secret);
            assert_eq!(app.send(posted).await.status, 405);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_waits_for_its_checkpoint_and_then_says_that_the_log_is_behind() {
    let app = App::seeded().await;
    let auditor = app.key(Wanted::role(Role::Auditor)).await;
    let path = format!("/v1/manifests/{}/bundle", sign(&app).await);
    let bundle = app.get(&auditor, &path).await;
    assert_eq!(bundle.header("content-type"), "application/vnd.dev.sigstore.bundle.v0.3+json");
    let entry = &bundle.ok()["verificationMaterial"]["tlogEntries"][0];
    assert_eq!(
        (&entry["logIndex"], &entry["kindVersion"]["kind"]),
        (&json!("2"), &json!("hashedrekord"))
    );
    let root = app.get(&auditor, "/v1/trusted-root").await;
    let root = TrustedRoot::parse(root.text.as_bytes()).unwrap();
    assert_eq!(root.logs.len(), 1);
    let key = app.services.provenance.public_key_pem().unwrap();
    let key = PublicKey::from_spki_pem(&key).unwrap();
    let trust = LogTrust { root, witnesses: None };
    let verified = verify_logged_bundle_json(bundle.text.as_bytes(), &key, &trust, None);
    assert!(verified.verified(), "{:?}", verified.checks());

    // Another process leads, and does nothing.
    let (store, other) = (app.services.log.store(), Uuid::now_v7());
    app.services.log.resign().await.unwrap();
    while store.lead(other, Duration::from_secs(600)).await.unwrap().is_none() {
        app.services.log.resign().await.unwrap();
    }
    let id = sign(&app).await;
    let path = format!("/v1/manifests/{id}/bundle");
    app.get(&auditor, &path).await.problem(503, "log_behind");
    app.get(&auditor, &format!("/provenance/verify/{id}")).await.problem(503, "log_behind");
    store.resign(other).await.unwrap();
    let bundle = app.get(&auditor, &path).await.ok();
    assert_eq!(bundle["verificationMaterial"]["tlogEntries"][0]["logIndex"], "3");
}
