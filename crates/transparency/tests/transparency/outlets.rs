//! The outlets of a log in a store, with its real sequencer: to real peers, through absences and
//! ends of the process, and with a log that went back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sentinel_core::id::StatementId;
use sentinel_core::log::{LogPlace, LogStatement, NewStatement, ReceiptKind, StatementKind};
use sentinel_core::ports::prelude::*;
use sentinel_objects::Folder;
use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, HashedRekord, NoteSigner as _, VerifierKey, WitnessPolicy,
};
use sentinel_provenance::{Bundle, EcdsaP256Signer, Envelope, LogTrust, Signer as _};
use sentinel_service::log::TransparencyLog;
use sentinel_service::signing::{Signing, SigningKeys};
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::clock::ManualClock;
use sentinel_testkit::manifest::{Fixture, signed};
use sentinel_testkit::{rekor, s3, timestamp, witness};
use sentinel_transparency::{
    Destinations, Mirror, OutletCounts, Outlets, PATIENCE, REKOR_PATIENCE, Rekor,
    TIMESTAMP_PATIENCE, Timestamper, Witness,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::cosign::{self, Trust};
use crate::liar::{self, answer};
use crate::log::ORIGIN;
use crate::rekor::{REKOR, trusting};

/// A log in a database.
struct Scene {
    store: Arc<SqliteStore>,
    log: TransparencyLog,
    key: VerifierKey,
    signer: Arc<EcdsaP256Signer>,
}

impl Scene {
    async fn open(database: &Path, log_key: &str) -> Self {
        // The previous holder may not have ended yet.
        let deadline = Instant::now() + Duration::from_secs(30);
        let store = loop {
            match SqliteStore::open(database) {
                Ok(store) => break Arc::new(store),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let note_signer = Ed25519NoteSigner::from_pkcs8_pem(ORIGIN, log_key).unwrap();
        let key = note_signer.verifier_key().clone();
        let signer = Arc::new(EcdsaP256Signer::generate().unwrap());
        let log = open_log(&store, &signer, note_signer).await;
        let scene = Self { log, store, key, signer };
        scene.sequence().await;
        scene
    }

    async fn append(&self, count: usize) {
        let leaf = |_| {
            let envelope = Envelope::sign(b"{}".to_vec(), &*self.signer).unwrap();
            HashedRekord::of(&envelope, self.signer.public_key())
        };
        let leaves: Vec<_> = (0..count).map(leaf).collect();
        self.append_leaves(&leaves).await;
    }

    async fn append_leaves(&self, leaves: &[HashedRekord]) -> Vec<LogPlace> {
        let statement = |leaf: &HashedRekord| NewStatement {
            statement: LogStatement {
                id: StatementId(Uuid::now_v7()),
                kind: StatementKind::PayloadDestroyed,
                tenant_id: None,
                subject: "a tenant".to_owned(),
                bundle: "{}".to_owned(),
                created_at: "2026-11-22T20:13:00Z".parse().unwrap(),
                place: None,
            },
            leaf: leaf.to_bytes(),
        };
        let places = self.store.append_statements(leaves.iter().map(statement).collect()).await;
        self.sequence().await;
        places.unwrap()
    }

    /// What the sequencer does, which does not run here by itself. The lead of a process before is
    /// waited for.
    async fn sequence(&self) {
        until("everything is sequenced", async || {
            self.log.sequence_now().await.unwrap();
            self.store.leaves(1, self.size().await, 1).await.unwrap().is_empty()
        })
        .await;
    }

    async fn size(&self) -> u64 {
        self.store.log_head(1).await.unwrap().unwrap().size
    }

    /// Sends as the leader.
    fn send(&self, destinations: &Destinations) -> Sending {
        let outlets = Outlets::new(self.store.clone(), destinations.clone());
        let counts = outlets.counts();
        let (leads, led) = watch::channel(true);
        Sending { counts, leads, task: tokio::spawn(outlets.run(led)) }
    }

    async fn receipts(&self, index: u64, kind: ReceiptKind) -> Vec<Vec<u8>> {
        let receipts = self.store.receipts(LogPlace { shard: 1, index }).await.unwrap();
        receipts.into_iter().filter(|it| it.kind == kind).map(|it| it.content).collect()
    }
}

async fn open_log(
    store: &Arc<SqliteStore>,
    signer: &Arc<EcdsaP256Signer>,
    note_signer: Ed25519NoteSigner,
) -> TransparencyLog {
    let (port, clock) = (store.clone(), Arc::new(ManualClock::default()));
    let signing = Signing::Direct(signer.clone());
    let keys = Arc::new(SigningKeys::new(signing, Vec::new(), port.clone(), clock.clone()));
    let signers = vec![Arc::new(note_signer) as _];
    TransparencyLog::open(port, signers, keys, clock).await.unwrap()
}

struct Sending {
    counts: Vec<Arc<OutletCounts>>,
    leads: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Sending {
    /// Ends it, and with it the use of the store.
    async fn end(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    fn of(&self, name: &str) -> &OutletCounts {
        self.counts.iter().find(|counts| counts.name == name).unwrap()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn log_key() -> String {
    Ed25519NoteSigner::generate(ORIGIN).unwrap().to_pkcs8_pem().unwrap().to_string()
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn folder(url: &str) -> Option<(String, Folder)> {
    Some((url.to_owned(), Folder::open(url, []).unwrap()))
}

fn a_witness(server: &witness::Server) -> Witness {
    Witness::parse(&format!("http://{} {}", server.address(), server.key()), PATIENCE).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_comes_to_have_all_that_real_peers_give_and_cosign_accepts_it() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::open(&dir.path().join("db"), &log_key()).await;
    let witness = witness::Server::start(&scene.key.to_string());
    let rekor_key = Ed25519NoteSigner::generate(REKOR).unwrap();
    let rekor = rekor::Server::start(REKOR, &rekor_key.to_pkcs8_pem().unwrap());
    let authority = timestamp::Server::start();
    let url = format!("file://{}", dir.path().display());
    let root = trusting(&[rekor_key.verifier_key()]);
    let to = Destinations {
        mirror: folder(&url),
        witnesses: vec![a_witness(&witness)],
        quorum: 1,
        rekor: Some(
            Rekor::new(&format!("http://{}", rekor.address()), root, REKOR_PATIENCE).unwrap(),
        ),
        timestamper: Some(
            Timestamper::new(&authority.url(), &authority.chain(), TIMESTAMP_PATIENCE).unwrap(),
        ),
    };
    let it: Fixture = signed();
    let leaf = HashedRekord::of(&it.bundle.envelope, it.signer.public_key());
    scene.append(40).await;
    let place = scene.append_leaves(&[leaf]).await[0];
    scene.append(30).await;
    let sending = scene.send(&to);

    let complete = async || scene.log.complete(it.bundle.clone(), place).await.unwrap();
    let policy = WitnessPolicy::new(1, vec![to.witnesses[0].key().clone()]).unwrap();
    let has_all = |bundle: &Bundle| {
        let entries = &bundle.verification_material.tlog_entries;
        let note = &entries[0].inclusion_proof.checkpoint.envelope;
        let seen = Checkpoint::open(note, &scene.key).unwrap().cosignatures(&policy).is_ok();
        let stamped = bundle.verification_material.timestamp_verification_data.is_some();
        seen && entries.len() == 2 && stamped
    };
    until("a complete bundle", async || has_all(&complete().await)).await;
    let bundle = complete().await;
    let mut root = scene.log.trusted_root().unwrap();
    root.logs.extend(to.trusted_logs());
    let json = root.to_json_with(&to.trusted_authorities()).unwrap();
    let trust = Trust { key: it.signer.public_key(), root: &json, artifact: &it.artifact };
    let signed_time = &["--use-signed-timestamps"];
    assert_eq!(cosign::accepts(&bundle.to_json().unwrap(), &trust, signed_time), Ok(()));
    let logs = LogTrust { root, witnesses: Some(policy) };
    let verification =
        sentinel_provenance::verify_logged_bundle(&bundle, trust.key, &logs, Some(&it.artifact));
    assert!(verification.verified(), "{verification:?}");

    until("everything is sent", async || sending.counts.iter().all(|counts| counts.lag() == 0))
        .await;
    let mirror = Mirror::open(&url, [], scene.key.clone()).unwrap();
    until("the mirror", async || mirror.size().await.unwrap() == Some(scene.size().await)).await;
    assert!(sending.counts.iter().all(|counts| counts.failures() == 0), "{:?}", sending.counts);
}

#[tokio::test]
async fn who_has_no_key_of_the_log_does_not_take_the_lead_from_who_has() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::open(&dir.path().join("db"), &log_key()).await;
    let stranger = Ed25519NoteSigner::generate("other.example").unwrap();
    let stranger = open_log(&scene.store, &scene.signer, stranger).await;
    scene.log.resign().await.unwrap();
    assert!(stranger.lead().await.is_err());
    assert!(scene.log.lead().await.unwrap().is_some());
}

#[tokio::test]
async fn who_does_not_lead_sends_nothing_and_who_leads_then_does() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::open(&dir.path().join("db"), &log_key()).await;
    let (address, asked) = liar::serve(|_| answer(503, "")).await;
    let rekor = Rekor::new(&format!("http://{address}"), trusting(&[]), REKOR_PATIENCE).unwrap();
    let url = format!("file://{}", dir.path().display());
    let to = Destinations { mirror: folder(&url), rekor: Some(rekor), ..Destinations::default() };
    let outlets = Outlets::new(scene.store.clone(), to);
    let counts = outlets.counts();
    let (leads, led) = watch::channel(false);
    let task = tokio::spawn(outlets.run(led));
    scene.append(3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mirror = Mirror::open(&url, [], scene.key.clone()).unwrap();
    assert_eq!(mirror.size().await.unwrap(), None);
    assert!(asked.lock().unwrap().is_empty());
    assert!(counts.iter().all(|counts| counts.lag() == 0 && counts.failures() == 0));
    leads.send_replace(true);
    until("it is sent", async || mirror.size().await.unwrap() == Some(scene.size().await)).await;
    until("rekor is asked", async || !asked.lock().unwrap().is_empty()).await;
    // Without anybody who could let it lead it ends.
    drop(leads);
    let ended = tokio::time::timeout(Duration::from_secs(20), task).await;
    assert!(ended.is_ok(), "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absence_delays_only_what_the_absent_gives() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::open(&dir.path().join("db"), &log_key()).await;
    let mut storage = s3::Server::start();
    let url = storage.url("mirror");
    let options = [("AWS_REQUEST_TIMEOUT".to_owned(), "1s".to_owned())];
    let environment: Vec<_> = storage.environment().into_iter().chain(options).collect();
    let there = Arc::new(AtomicBool::new(false));
    let here = Arc::clone(&there);
    // A test server that accepts nothing, and is unavailable or not.
    let (address, asked) =
        liar::serve(move |_| answer(if here.load(Ordering::SeqCst) { 400 } else { 503 }, "")).await;
    let rekor = Rekor::new(&format!("http://{address}"), trusting(&[]), REKOR_PATIENCE).unwrap();
    let witness = witness::Server::start(&scene.key.to_string());
    let to = Destinations {
        mirror: Some((url.clone(), Folder::open(&url, environment.clone()).unwrap())),
        witnesses: vec![a_witness(&witness)],
        quorum: 1,
        rekor: Some(rekor),
        timestamper: None,
    };
    storage.stop();
    let sending = scene.send(&to);
    scene.append(300).await;
    let witnessed = async || {
        let head = scene.store.log_head(1).await.unwrap().unwrap();
        head.witnessed.is_some_and(|(size, _)| size == head.size)
    };
    until("the witness cosigns", witnessed).await;
    until("rekor fails", async || sending.of("rekor").failures() > 1).await;
    assert_eq!(sending.of("rekor").lag(), scene.size().await);
    assert_eq!(scene.store.log_cursor("x", 1).await.unwrap(), 0);
    assert!(sending.counts.iter().all(|counts| counts.alarms() == 0));
    // Longer and longer pauses: not a storm of questions.
    assert!(asked.lock().unwrap().len() <= 32 * 8, "{}", asked.lock().unwrap().len());

    storage.start_again();
    let size = scene.size().await;
    let mirror = Mirror::open(&url, environment, scene.key.clone()).unwrap();
    until("the mirror follows", async || mirror.size().await.unwrap() == Some(size)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ends_anywhere_leaves_the_next_one_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::open(&dir.path().join("db"), &log_key()).await;
    let rekor_key = Ed25519NoteSigner::generate(REKOR).unwrap();
    let server = rekor::Server::start(REKOR, &rekor_key.to_pkcs8_pem().unwrap());
    let witness = witness::Server::start(&scene.key.to_string());
    let url = format!("file://{}", dir.path().display());
    let root = trusting(&[rekor_key.verifier_key()]);
    let to = Destinations {
        mirror: folder(&url),
        witnesses: vec![a_witness(&witness)],
        quorum: 1,
        rekor: Some(Rekor::new(&server.url(), root, REKOR_PATIENCE).unwrap()),
        timestamper: None,
    };
    for round in 0..20 {
        let (one, other) = (scene.send(&to), scene.send(&to));
        scene.append(7).await;
        tokio::time::sleep(Duration::from_millis(round * 11)).await;
        drop((one, other));
    }
    let sending = scene.send(&to);
    let size = scene.size().await;
    assert!(size > 140);
    until("all receipts", async || !scene.receipts(size - 1, ReceiptKind::Rekor).await.is_empty())
        .await;
    let leaves = scene.store.leaves(1, 0, 1000).await.unwrap();
    let mut indexes = Vec::new();
    for (index, leaf) in (0..).zip(leaves) {
        let [receipt] =
            <[_; 1]>::try_from(scene.receipts(index, ReceiptKind::Rekor).await).unwrap();
        let entry = TransparencyLogEntry::parse(&receipt).unwrap();
        entry.verify(rekor_key.verifier_key(), &HashedRekord::parse(&leaf).unwrap()).unwrap();
        indexes.push(entry.log_index);
    }
    indexes.sort_unstable();
    // Nothing was entered twice.
    assert_eq!(indexes, (0..size).collect::<Vec<_>>());
    let mirror = Mirror::open(&url, [], scene.key.clone()).unwrap();
    until("the mirror", async || mirror.size().await.unwrap() == Some(size)).await;
    let witnessed = async || {
        let head = scene.store.log_head(1).await.unwrap().unwrap();
        head.witnessed.is_some_and(|(witnessed, _)| witnessed == size)
    };
    until("the witness cosigns", witnessed).await;
    assert!(sending.counts.iter().all(|counts| counts.alarms() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_does_not_wait_for_a_witness_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::open(&dir.path().join("db"), &log_key()).await;
    let start = |name| witness::Server::start_named(&scene.key.to_string(), name);
    let (one, two) = (start("one.example"), start("two.example"));
    // Accepts connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bytes = *Ed25519NoteSigner::generate("x").unwrap().verifier_key().as_bytes();
    let kind = sentinel_provenance::log::KeyKind::CosignatureV1;
    let key = VerifierKey::new("silent.example", kind, bytes).unwrap();
    let address = format!("http://{} {key}", silent.local_addr().unwrap());
    let hanging = Witness::parse(&address, PATIENCE).unwrap();
    let witnesses = vec![hanging, a_witness(&one), a_witness(&two)];
    let keys = vec![witnesses[1].key().clone(), witnesses[2].key().clone()];
    let both = WitnessPolicy::new(2, keys).unwrap();
    let to = Destinations { witnesses, quorum: 2, ..Destinations::default() };
    let sending = scene.send(&to);
    for _ in 0..2 {
        scene.append(20).await;
        let begun = Instant::now();
        let witnessed = async || {
            let head = scene.store.log_head(1).await.unwrap().unwrap();
            let Some((size, note)) = head.witnessed.filter(|(size, _)| *size == head.size) else {
                return false;
            };
            let opened = Checkpoint::open(&note, &scene.key).unwrap();
            opened.size() == size && opened.cosignatures(&both).is_ok()
        };
        until("both cosign", witnessed).await;
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    }
    drop(sending);

    // With the quorum of all nothing is kept.
    let mut to = Destinations { quorum: 3, ..to };
    to.witnesses[0] = Witness::parse(&address, Duration::from_millis(200)).unwrap();
    let before = scene.size().await;
    scene.append(20).await;
    let sending = scene.send(&to);
    until("it is given up", async || sending.of("witnesses").failures() > 1).await;
    let head = scene.store.log_head(1).await.unwrap().unwrap();
    assert_eq!(head.witnessed.unwrap().0, before);
    assert_eq!(sending.of("witnesses").lag(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rolled_back_raises_an_alarm_at_the_witness_and_the_mirror() {
    let dir = tempfile::tempdir().unwrap();
    let (database, backup) = (dir.path().join("db"), dir.path().join("backup"));
    std::fs::create_dir(dir.path().join("mirror")).unwrap();
    let key = log_key();
    let scene = Scene::open(&database, &key).await;
    let witness = witness::Server::start(&scene.key.to_string());
    let url = format!("file://{}/mirror", dir.path().display());
    let to = Destinations {
        mirror: folder(&url),
        witnesses: vec![a_witness(&witness)],
        quorum: 1,
        ..Destinations::default()
    };
    let sent = async |scene: &Scene| {
        let mirror = Mirror::open(&url, [], scene.key.clone()).unwrap();
        let sending = scene.send(&to);
        let size = scene.size().await;
        until("it is sent", async || {
            let head = scene.store.log_head(1).await.unwrap().unwrap();
            mirror.size().await.unwrap() == Some(size)
                && head.witnessed.is_some_and(|(witnessed, _)| witnessed == size)
        })
        .await;
        sending.end().await;
    };
    scene.append(20).await;
    sent(&scene).await;
    drop(scene);
    std::fs::copy(&database, &backup).unwrap();
    let scene = Scene::open(&database, &key).await;
    scene.append(20).await;
    sent(&scene).await;
    let sent = scene.size().await;
    drop(scene);

    // The backup, also when nothing has grown on it yet.
    let scene = Scene::open(&backup, &key).await;
    let sending = scene.send(&to);
    until("the mirror tells", async || sending.of("mirror").alarms() > 0).await;
    scene.append(1).await;
    until("the witness tells", async || sending.of("witnesses").alarms() > 0).await;
    let mirror = Mirror::open(&url, [], scene.key.clone()).unwrap();
    assert_eq!(mirror.size().await.unwrap(), Some(sent), "the mirror went back");
    assert!(*sending.leads.borrow());
}
