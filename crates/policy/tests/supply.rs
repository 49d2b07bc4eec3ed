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
#[path = "support/keys.rs"]
mod keys;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bundles::{Answer, BundleServer, bundle, bytes, signed, with_rules};
use sentinel_core::policy::{PolicyEngine as _, PolicyError};
use sentinel_core::policy_data::PolicyData;
use sentinel_core::rollout::PolicyState;
use sentinel_policy::bundle::{Bundle, BundleLimits, Trust, VerificationKey};
use sentinel_policy::supply::{self, Access, Keeper, KeeperConfig, Pace};
use sentinel_policy::{EmbeddedEngine, LoadError};
use support::{engine, now, usual};

/// A server as it is configured; `Keeper`s of it come and go, as the process does.
struct Setup {
    address: String,
    access: Access,
    config: KeeperConfig,
    environment: Vec<(String, String)>,
    dir: tempfile::TempDir,
}

struct Running {
    engine: Arc<EmbeddedEngine>,
    keeper: Arc<Keeper>,
}

impl Setup {
    fn of(address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let limits = BundleLimits::default();
        Self {
            address: address.to_owned(),
            access: Access {
                work_dir: Some(kept.clone()),
                max_bytes: limits.max_compressed,
                ..Access::default()
            },
            config: KeeperConfig {
                address: address.to_owned(),
                trust: None,
                limits,
                dir: Some(kept),
                allow_rollback: false,
                pace: Pace {
                    min_delay: Duration::from_millis(20),
                    max_delay: Duration::from_millis(40),
                    random: || 0.5,
                },
            },
            environment: Vec::new(),
            dir,
        }
    }

    fn trusting(mut self, public: &str) -> Self {
        let keys = VerificationKey::read(public.as_bytes(), None).unwrap();
        self.config.trust = Some(Trust { keys, scope: None });
        self
    }

    fn start(&self) -> Running {
        let engine = Arc::new(engine());
        let source = supply::open(&self.address, &self.access, self.environment.clone()).unwrap();
        let keeper = Arc::new(Keeper::new(Arc::clone(&engine), source, self.config.clone()));
        Running { engine, keeper }
    }
}

impl Running {
    async fn poll(&self) -> Result<Option<String>, Arc<LoadError>> {
        self.keeper.poll(now()).await.map(|revision| revision.map(|name| name.to_string()))
    }

    async fn refused(&self) -> String {
        self.poll().await.expect_err("nothing is loaded").to_string()
    }

    fn allows(&self) -> Result<bool, PolicyError> {
        usual().decide(&self.engine).map(|decision| decision.allow)
    }

    fn revision(&self) -> Option<String> {
        self.engine.status().revision
    }
}

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
        (b"not a bundle".to_vec(), "no bundle"),
        (good[..good.len() - 9].to_vec(), "no bundle"),
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
async fn the_token_is_sent_read_anew_and_never_followed_elsewhere() {
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
    // The source mends it, though it has nothing newer.
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

    // Nobody knows any more what must not come back.
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

    // After a restart nobody knows of the data before the first decision.
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
    let mut answers = Vec::new();
    for revision in 2..6 {
        answers.push(Answer::status("500 Internal Server Error"));
        answers.push(Answer::bundle(b"garbage", "\"bad\""));
        answers.push(Answer::bundle(&bytes(&bundle(&revision.to_string(), true)), "\"x\""));
    }
    server.say(answers);
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

/// A repository with a policy in `team/`.
struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = Self { dir };
        repository.git(&["init", "--quiet", "--initial-branch=main", "."]);
        repository
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(["-c", "commit.gpgSign=false"])
            .args(args)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits a policy; answers the commit.
    fn commit(&self, allow: bool, sign: &[&str]) -> String {
        self.commit_tested(allow, allow, sign)
    }

    /// The same, with a test that expects another policy.
    fn commit_tested(&self, allow: bool, expected: bool, sign: &[&str]) -> String {
        let rules = format!("package sentinel.policy\n\ndecision := {{\"allow\": {allow}}}\n");
        let test = format!(
            "package sentinel.policy_test\n\nimport data.sentinel.policy\n\n\
             test_it if policy.decision.allow == {expected}\n"
        );
        support::write(
            self.dir.path(),
            &[
                ("team/policy.rego", &rules),
                // Were it part of the policy, it would contradict it.
                ("team/policy_test.rego", &test),
                ("team/.hidden/other.rego", "nor is this"),
                ("README.md", &rules),
            ],
        );
        self.git(&["add", "."]);
        let mut args = sign.to_vec();
        args.extend(["commit", "--quiet", "--allow-empty", "-m", "policy"]);
        if !sign.is_empty() {
            args.push("-S");
        }
        self.git(&args);
        self.git(&["rev-parse", "HEAD"])
    }

    fn address(&self, fragment: &str) -> String {
        format!("git+file://{}#{fragment}", self.dir.path().display())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_a_repository_is_followed_and_never_back() {
    let repository = Repository::new();
    let first = repository.commit(true, &[]);
    // A hook of the repository, and one of ours, would leave a trace.
    let trace = repository.dir.path().join("trace");
    let hook = format!("#!/bin/sh\ntouch {}\n", trace.display());
    for name in ["post-checkout", "reference-transaction", "post-index-change"] {
        let path = repository.dir.path().join(".git/hooks").join(name);
        std::fs::write(&path, &hook).unwrap();
    }
    let setup = Setup::of(&repository.address("main:team"));
    let running = setup.start();
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{first}")));
    assert_eq!((running.poll().await.unwrap(), running.allows()), (None, Ok(true)));
    let second = repository.commit(false, &[]);
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{second}")));
    assert_eq!(running.allows(), Ok(false));
    repository.git(&["reset", "--quiet", "--hard", &first]);
    assert!(running.refused().await.contains("was in force before"));
    assert_eq!(running.allows(), Ok(false));
    assert!(!trace.exists(), "a hook ran");
    drop(repository);
    running.refused().await;
    let restarted = setup.start();
    let restored = restarted.keeper.restore(now()).unwrap();
    assert_eq!(restored.as_deref(), Some(format!("git:{second}").as_str()));
    assert_eq!(restarted.allows(), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_own_tests_fail_does_not_come_into_force() {
    let repository = Repository::new();
    repository.commit(false, &[]);
    let running = Setup::of(&repository.address("main:team")).start();
    running.poll().await.unwrap();
    repository.commit_tested(true, false, &[]);
    let why = running.refused().await;
    assert!(why.contains("`data.sentinel.policy_test.test_it` does not hold"), "{why}");
    assert_eq!(running.allows(), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_followed_and_what_is_not_there_is_told() {
    let repository = Repository::new();
    let tagged = repository.commit(true, &[]);
    repository.git(&["tag", "-a", "v1", "-m", "one"]);
    repository.commit(false, &[]);
    let setup = Setup::of(&repository.address("v1:team"));
    let running = setup.start();
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{tagged}")));
    for (fragment, why) in [
        ("nowhere:team", "the repository has no branch or tag `nowhere`"),
        ("main:elsewhere", "has no directory `elsewhere`"),
        ("main:README.md", "has no directory `README.md`"),
        ("main", ""),
    ] {
        let setup = Setup::of(&repository.address(fragment));
        let polled = setup.start().poll().await;
        // The whole repository is a policy directory, too.
        assert_eq!(polled.is_ok(), fragment == "main", "{fragment}: {polled:?} {why}");
        assert!(format!("{polled:?}").contains(why), "{fragment}: {polled:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let address = format!("git+file://{}#main", empty.path().display());
    let polled = format!("{:?}", Setup::of(&address).start().poll().await);
    let why = format!(
        "there is no repository at `file://{}`, or no right to read it",
        empty.path().display()
    );
    assert!(polled.contains(&why), "{polled}");
    repository.git(&["branch", "v1"]);
    assert!(running.refused().await.contains("a tag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_commits_of_allowed_signers_come_into_force() {
    let repository = Repository::new();
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        path
    };
    let (good, other) = (key("good"), key("other"));
    let public = std::fs::read_to_string(good.with_extension("pub")).unwrap();
    let signers = keys.path().join("signers");
    std::fs::write(&signers, format!("a@example.com {public}")).unwrap();
    let signing = |key: &Path| {
        let key = format!("user.signingKey={}", key.display());
        ["-c".to_owned(), "gpg.format=ssh".to_owned(), "-c".to_owned(), key]
    };
    let commit = |allow, key: Option<&Path>| {
        let args = key.map(signing).unwrap_or_default();
        let args: Vec<&str> = args.iter().map(String::as_str).filter(|a| !a.is_empty()).collect();
        repository.commit(allow, &args)
    };
    let mut setup = Setup::of(&repository.address("main:team"));
    setup.access.allowed_signers = Some(signers);
    let running = setup.start();
    commit(true, None);
    assert!(running.refused().await.contains("is not signed by an allowed signer"));
    let signed = commit(true, Some(&good));
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{signed}")));
    for key in [None, Some(other.as_path())] {
        commit(false, key);
        assert!(running.refused().await.contains("is not signed by an allowed signer"));
        assert_eq!(running.allows(), Ok(true));
    }
    let mended = commit(false, Some(&good));
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{mended}")));
}
