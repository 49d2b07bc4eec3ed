//! Sources of bundles: what comes into force, what does not, and what is left when they are away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "support/bundles.rs"]
mod bundles;
#[path = "supply/repository.rs"]
mod repository;
#[path = "supply/setup.rs"]
mod setup;
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bundles::{Answer, BundleServer, bundle, bytes, signed, with_rules};
use sentinel_core::policy::{PolicyEngine as _, PolicyError};
use sentinel_core::policy_data::PolicyData;
use sentinel_core::rollout::PolicyState;
use sentinel_policy_bundles::Bundle;
use sentinel_policy_bundles::supply::{self, KeeperConfig};
use sentinel_testkit::keys;
use setup::Setup;
use support::now;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_asked_for_what_is_not_in_force_yet() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let running = setup.start();
    server.say([
        Answer::bundle(&bytes(&bundle("1", true)), "\"one\""),
        Answer::status("304 Not Modified"),
        Answer::bundle(&bytes(&bundle("2", false)), "\"two\""),
        Answer::status("500 Internal Server Error"),
        Answer::status("200 OK"),
    ]);
    assert_eq!(running.allows(), Err(PolicyError::NoPolicy));
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("1"));
    assert_eq!(running.poll().await.unwrap(), None);
    assert_eq!(running.allows(), Ok(true));
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("2"));
    assert_eq!(running.allows(), Ok(false));
    let away = running.refused().await;
    assert!(away.contains("500 Internal Server Error"), "{away}");
    assert_eq!(running.engine.status().error.as_ref(), Some(&away));
    assert_eq!((running.revision().as_deref(), running.allows()), (Some("2"), Ok(false)));
    // OPA's servers answer so when the time is over.
    assert_eq!(running.poll().await.unwrap(), None);
    assert_eq!(running.engine.status().error, None);
    let asked = server.asked();
    assert!(!asked[0].contains("if-none-match") && asked[0].contains("prefer: modes=snapshot\r\n"));
    assert!(
        asked[1].contains("if-none-match: \"one\"") && asked[2].contains("if-none-match: \"one\"")
    );
    assert!(
        asked[3].contains("if-none-match: \"two\"") && asked[4].contains("if-none-match: \"two\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bundles_change_nothing_and_are_told_with_their_place() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let running = setup.start();
    let good = bytes(&bundle("1", true));
    server.say([Answer::bundle(&good, "\"good\"")]);
    running.poll().await.unwrap();
    let recursive = with_rules("2", "package sentinel.policy\n\nallow if x\n\nx if allow\n");
    let broken = with_rules("2", "package sentinel.policy\n\nallow if {\n");
    let delta = [("patch.json".to_owned(), b"{\"data\": []}".to_vec())];
    let delta = supply_raw(&delta);
    for (body, why) in [
        (bytes(&recursive), "policy.rego:3:1: "),
        (bytes(&broken), "policy.rego:"),
        (delta, "delta bundle"),
        (b"not a bundle".to_vec(), "not a bundle"),
        (good[..good.len() - 9].to_vec(), "not a bundle"),
        (signed(&bundle("2", false), &keys::p256().private), "no key is configured"),
    ] {
        server.say([Answer::bundle(&body, "\"bad\"")]);
        for _ in 0..2 {
            let refused = running.refused().await;
            assert!(refused.contains(why), "{refused} must contain {why}");
            let status = running.engine.status();
            assert_eq!(
                (status.error.as_deref(), status.refused_at),
                (Some(&*refused), Some(now()))
            );
            assert_eq!((running.revision().as_deref(), running.allows()), (Some("1"), Ok(true)));
        }
        // What is in force is told, not what was refused.
        assert!(server.asked().last().unwrap().contains("if-none-match: \"good\""));
    }
    server.say([Answer::bundle(&bytes(&bundle("2", false)), "\"new\"")]);
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("2"));
    assert_eq!((running.allows(), running.engine.status().error), (Ok(false), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tags_has_nothing_loaded_or_written_twice() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let running = setup.start();
    let untagged = |revision: &str| {
        let answer = Answer::bundle(&bytes(&bundle(revision, true)), "");
        Answer { headers: Vec::new(), ..answer }
    };
    server.say([untagged("1")]);
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("1"));
    let state = setup.config.dir.as_ref().unwrap().join("state.json");
    let written = std::fs::metadata(&state).unwrap().modified().unwrap();
    for _ in 0..3 {
        assert_eq!(running.poll().await.unwrap(), None);
    }
    assert_eq!(std::fs::metadata(&state).unwrap().modified().unwrap(), written);
    server.say([untagged("2")]);
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("2"));
}

/// A bundle that this crate would not build.
fn supply_raw(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, contents.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_read_to_its_end() {
    let server = BundleServer::start();
    let mut setup = Setup::of(&server.url);
    setup.access.max_bytes = 1_000;
    let running = setup.start();
    server.say([Answer::bundle(&vec![0; 1_001], "\"large\"")]);
    let refused = running.refused().await;
    assert!(refused.contains("more than 1000 bytes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_absent_server_is_not_waited_for_without_end() {
    let server = BundleServer::start();
    let mut setup = Setup::of(&server.url);
    setup.access.timeout = Some(Duration::from_millis(100));
    let running = setup.start();
    let slow = Answer::bundle(&bytes(&bundle("1", true)), "\"one\"");
    server.say([Answer { after: Duration::from_secs(5), ..slow }]);
    let asked = Instant::now();
    assert!(running.refused().await.contains("took too long"));
    assert!(asked.elapsed() < Duration::from_secs(3));
    let gone = Setup::of("http://127.0.0.1:1/policy.tar.gz");
    assert!(gone.start().refused().await.contains("cannot be reached"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_vetted_again_only_after_a_while() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let running = setup.start();
    let recursive = with_rules("2", "package sentinel.policy\n\nallow if x\n\nx if allow\n");
    server.say([Answer::bundle(&bytes(&recursive), "\"bad\"")]);
    let at = |minutes| now() + jiff::SignedDuration::from_mins(minutes);
    let first = running.keeper.poll(at(0)).await.unwrap_err();
    assert!(Arc::ptr_eq(&first, &running.keeper.poll(at(4)).await.unwrap_err()));
    let again = running.keeper.poll(at(6)).await.unwrap_err();
    assert!(!Arc::ptr_eq(&first, &again) && first.to_string() == again.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_sent_read_again_and_never_followed_elsewhere() {
    let (server, elsewhere) = (BundleServer::start(), BundleServer::start());
    let mut setup = Setup::of(&server.url);
    let token = setup.dir.path().join("token");
    setup.access.token_file = Some(token.clone());
    let running = setup.start();
    for secret in ["first", "second"] {
        std::fs::write(&token, format!("{secret}\n")).unwrap();
        let moved = format!("location: {}", elsewhere.url);
        server.say([Answer::status("302 Found").with(&moved)]);
        let refused = running.refused().await;
        assert!(refused.contains("302") && !refused.contains(secret), "{refused}");
        let expected = format!("authorization: bearer {secret}\r\n");
        assert!(server.asked().last().unwrap().contains(&expected));
    }
    assert!(elsewhere.asked().is_empty());
    std::fs::remove_file(&token).unwrap();
    assert!(running.refused().await.contains("cannot read the token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_polling_is_used_where_the_server_offers_it() {
    let server = BundleServer::start();
    let mut setup = Setup::of(&server.url);
    setup.access.long_poll = Some(Duration::from_secs(7));
    let running = setup.start();
    let offers = "content-type: application/vnd.openpolicyagent.bundles";
    server.say([
        Answer::bundle(&bytes(&bundle("1", true)), "\"one\"").with(offers),
        Answer { after: Duration::from_millis(300), ..Answer::status("304 Not Modified") },
        Answer::bundle(&bytes(&bundle("2", true)), "\"two\""),
        Answer::status("304 Not Modified"),
    ]);
    running.poll().await.unwrap();
    let asked = Instant::now();
    running.poll().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(300), "the answer is waited for");
    running.poll().await.unwrap();
    running.poll().await.unwrap();
    let asked = server.asked();
    for head in &asked[..3] {
        assert!(head.contains("prefer: modes=snapshot;wait=7\r\n"), "{head}");
    }
    assert!(asked[3].contains("prefer: modes=snapshot\r\n"), "{}", asked[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_the_source_uses_what_was_good_last() {
    let server = BundleServer::start();
    let pair = keys::p256();
    let setup = Setup::of(&server.url).trusting(&pair.public);
    let first = setup.start();
    assert_eq!(first.keeper.restore(now()).unwrap(), None);
    server.say([Answer::bundle(&signed(&bundle("7", true), &pair.private), "\"seven\"")]);
    first.poll().await.unwrap();
    drop(first);

    server.say([Answer::status("503 Service Unavailable")]);
    let second = setup.start();
    assert_eq!(second.keeper.restore(now()).unwrap().as_deref(), Some("7"));
    assert_eq!((second.allows(), second.revision().as_deref()), (Ok(true), Some("7")));
    second.refused().await;
    assert_eq!(second.allows(), Ok(true));
    assert!(server.asked().last().unwrap().contains("if-none-match: \"seven\""));

    // Kept by another key than the one that is trusted now, or changed on disk: not used.
    let other = Setup { config: setup.config.clone(), ..Setup::of(&server.url) };
    let other = other.trusting(&keys::p256().public).start();
    let error = other.keeper.restore(now()).unwrap_err().to_string();
    assert!(error.contains("signature"), "{error}");
    assert_eq!(other.allows(), Err(PolicyError::NoPolicy));
    let kept = kept_bundle(&setup);
    let mut changed = std::fs::read(&kept).unwrap();
    changed[30] ^= 1;
    std::fs::write(&kept, changed).unwrap();
    let third = setup.start();
    assert!(third.keeper.restore(now()).unwrap_err().to_string().contains("was changed"));
    assert_eq!(third.allows(), Err(PolicyError::NoPolicy));
    assert!(third.engine.status().error.is_some());
    // The source repairs it, though it has nothing newer.
    server.say([Answer::bundle(&signed(&bundle("7", true), &pair.private), "\"seven\"")]);
    third.poll().await.unwrap();
    assert!(!server.asked().last().unwrap().contains("if-none-match"));
    assert_eq!(third.allows(), Ok(true));
}

fn kept_bundle(setup: &Setup) -> PathBuf {
    let entries = std::fs::read_dir(setup.config.dir.as_ref().unwrap()).unwrap();
    let mut bundles = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("bundle-"));
    let found = bundles.next().expect("a bundle is kept");
    assert_eq!(bundles.next(), None, "and no other");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_revision_does_not_come_back_even_after_a_restart() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let serve = |revision: &str, allow: bool| {
        server.say([Answer::bundle(&bytes(&bundle(revision, allow)), revision)]);
    };
    let mut running = setup.start();
    for revision in ["9", "10", "build-a", "build-b"] {
        serve(revision, true);
        running.poll().await.unwrap();
    }
    for round in 0..2 {
        for (revision, allow) in
            [("9", true), ("8", true), ("10", true), ("build-a", true), ("build-b", false)]
        {
            serve(revision, allow);
            let refused = running.refused().await;
            assert!(refused.contains(&format!("revision `{revision}`")), "{refused}");
            assert_eq!(running.revision().as_deref(), Some("build-b"));
        }
        if round == 0 {
            running = setup.start();
            running.keeper.restore(now()).unwrap();
        }
    }
    let mut lenient = Setup::of(&server.url);
    lenient.config = KeeperConfig { allow_rollback: true, ..setup.config.clone() };
    let lenient = lenient.start();
    lenient.keeper.restore(now()).unwrap();
    serve("9", true);
    assert_eq!(lenient.poll().await.unwrap().as_deref(), Some("9"));

    // It is not known any more what must not come back.
    std::fs::write(setup.config.dir.as_ref().unwrap().join("state.json"), "{").unwrap();
    let blind = setup.start();
    blind.keeper.restore(now()).unwrap_err();
    serve("11", true);
    blind.refused().await;
    assert_eq!(blind.allows(), Err(PolicyError::NoPolicy));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_claims_the_place_of_data_that_was_put_is_not_kept_either() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let running = setup.start();
    server.say([Answer::bundle(&bytes(&bundle("1", true)), "\"one\"")]);
    running.poll().await.unwrap();
    let data = PolicyData::default();
    let put = data.put(&"/limits/search".parse().unwrap(), 5.into()).unwrap();
    let data = Arc::new(data.after(1, put));
    running.engine.observe(&PolicyState { data, ..PolicyState::default() });
    let claiming = [
        ("policy.rego", "package sentinel.policy\n\ndecision := {\"allow\": false}\n"),
        ("limits/data.json", "{\"search\": 6}"),
        (".manifest", "{\"revision\": \"2\"}"),
    ];
    let claiming = claiming.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let claiming = bytes(&Bundle::from_files(claiming).unwrap());
    server.say([Answer::bundle(&claiming, "\"two\"")]);
    assert!(running.refused().await.contains("`/limits/search`"));
    assert_eq!((running.allows(), running.revision().as_deref()), (Ok(true), Some("1")));
    drop(running);

    // After a restart the data is not known before the first decision.
    let again = setup.start();
    assert_eq!(again.keeper.restore(now()).unwrap().as_deref(), Some("1"));
    assert_eq!(again.allows(), Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_does_not_come_into_force() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    std::fs::remove_dir(setup.config.dir.as_ref().unwrap()).unwrap();
    let running = setup.start();
    server.say([Answer::bundle(&bytes(&bundle("1", true)), "\"one\"")]);
    assert!(running.refused().await.contains("could not be kept"));
    assert_eq!(running.allows(), Err(PolicyError::NoPolicy));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_goes_on_through_failures_and_decides_on_throughout() {
    let server = BundleServer::start();
    let setup = Setup::of(&server.url);
    let running = setup.start();
    server.say([Answer::bundle(&bytes(&bundle("1", true)), "\"one\"")]);
    running.poll().await.unwrap();
    let mut responses = Vec::new();
    for revision in 2..6 {
        responses.push(Answer::status("500 Internal Server Error"));
        responses.push(Answer::bundle(b"garbage", "\"bad\""));
        responses.push(Answer::bundle(&bytes(&bundle(&revision.to_string(), true)), "\"x\""));
    }
    server.say(responses);
    let task = tokio::spawn(Arc::clone(&running.keeper).run(now));
    let until = Instant::now() + Duration::from_secs(20);
    while running.revision().as_deref() != Some("5") {
        assert_eq!(running.allows(), Ok(true));
        assert!(Instant::now() < until, "{:?}", running.engine.status());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_s3_is_followed_by_its_etag() {
    let server = BundleServer::start();
    let mut setup = Setup::of("s3://policies/prod/bundle.tar.gz");
    let endpoint = server.url.trim_end_matches("/policy.tar.gz");
    setup.environment = [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let running = setup.start();
    let modified = "last-modified: Tue, 24 Nov 2026 10:00:00 GMT";
    server.say([
        Answer::bundle(&bytes(&bundle("1", true)), "\"one\"").with(modified),
        Answer::status("304 Not Modified"),
        Answer::bundle(&bytes(&bundle("2", false)), "\"two\"").with(modified),
        Answer::status("403 Forbidden"),
    ]);
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("1"));
    assert_eq!(running.poll().await.unwrap(), None);
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("2"));
    let refused = running.refused().await;
    assert!(!refused.contains("hunter2"), "{refused}");
    assert_eq!(running.allows(), Ok(false));
    let asked = server.asked();
    assert!(asked[0].starts_with("get /policies/prod/bundle.tar.gz "), "{}", asked[0]);
    assert!(asked[1].contains("if-none-match: \"one\""), "{}", asked[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle.tar.gz");
    let address = url::Url::from_file_path(&path).unwrap().to_string();
    let setup = Setup::of(&address);
    let running = setup.start();
    assert!(running.refused().await.contains("gives none"));
    supply::replace(&path, &bytes(&bundle("1", true))).unwrap();
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("1"));
    assert_eq!(running.poll().await.unwrap(), None);
    supply::replace(&path, &bytes(&bundle("2", false))).unwrap();
    assert_eq!(running.poll().await.unwrap().as_deref(), Some("2"));
    std::fs::remove_file(&path).unwrap();
    running.refused().await;
    assert_eq!(running.allows(), Ok(false));
}
