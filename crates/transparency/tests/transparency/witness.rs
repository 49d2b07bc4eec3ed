//! Witnesses: a real one, litewitness, and others that lie.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, KeyKind, NoteSigner as _, VerifierKey, WitnessPolicy,
};
use sentinel_testkit::witness::Server;
use sentinel_transparency::{
    PATIENCE, PeerError, SourceError, Witness, WitnessError, WitnessUrlError,
};

use crate::liar::{self, answer};
use crate::log::Log;

fn of(server: &Server) -> Witness {
    Witness::parse(&format!("http://{} {}", server.address(), server.key()), PATIENCE).unwrap()
}

#[tokio::test]
async fn a_real_witness_cosigns_and_is_asked_from_where_it_is() {
    let mut log = Log::of(10);
    let server = Server::start(&log.key().to_string());
    let witness = of(&server);
    let policy = WitnessPolicy::new(1, vec![witness.key().clone()]).unwrap();
    let first = witness.cosign(&log.checkpoint(), 0, &log).await.unwrap();
    assert!(first.time > 1_700_000_000);
    let opened = Checkpoint::open(&first.note.to_string(), log.key()).unwrap();
    assert_eq!(opened.cosignatures(&policy).unwrap()[0].time, first.time);

    // What it is thought to have seen is too little, too much, and right.
    for known in [0, u64::MAX, 710] {
        log.grow(700);
        let cosigned = witness.cosign(&log.checkpoint(), known, &log).await.unwrap();
        let opened = Checkpoint::open(&cosigned.note.to_string(), log.key()).unwrap();
        assert_eq!((opened.size(), opened.cosignatures(&policy).unwrap().len()), (log.size(), 1));
    }
    // Again, as after a crash.
    witness.cosign(&log.checkpoint(), 0, &log).await.unwrap();
    // A cosigned checkpoint keeps the signature that it has.
    let cosigned = witness.cosign(&log.checkpoint(), 0, &log).await.unwrap().note;
    let opened = Checkpoint::open(&cosigned.to_string(), log.key()).unwrap();
    let again = witness.cosign(&opened, 0, &log).await.unwrap();
    assert_eq!(again.note, cosigned);
}

#[tokio::test]
async fn a_real_witness_tells_rollback_and_fork_and_each_is_told_apart() {
    let mut log = Log::of(310);
    let server = Server::start(&log.key().to_string());
    let witness = of(&server);
    witness.cosign(&log.checkpoint(), 0, &log).await.unwrap();
    let refused =
        async |log: &Log, known| witness.cosign(&log.checkpoint(), known, log).await.unwrap_err();

    let rolled_back = log.cut(100);
    for known in [0, 100] {
        let error = refused(&rolled_back, known).await;
        assert!(matches!(error, WitnessError::Ahead { theirs: 310, ours: 100, .. }), "{error}");
        assert!(!error.is_fork());
    }
    let mut forked = log.cut(309);
    forked.append(b"another leaf".to_vec());
    for _ in 0..2 {
        let error = refused(&forked, 310).await;
        assert!(error.is_fork(), "{error}");
        assert!(error.to_string().contains("FORKED"), "{error}");
        forked.grow(90);
    }
    let error = refused(&Log::of(400), 310).await;
    assert_eq!(error, WitnessError::UntrustedKey(witness.key().name().clone()));
    let other = Ed25519NoteSigner::generate("other.example").unwrap();
    let root = log.checkpoint().root();
    let note = Checkpoint::new("other.example", 310, root).unwrap().sign(&other).unwrap();
    let stranger = Checkpoint::open(&note.to_string(), other.verifier_key()).unwrap();
    let error = witness.cosign(&stranger, 0, &log).await.unwrap_err();
    assert_eq!(error, WitnessError::UnknownLog(witness.key().name().clone()));

    log.grow(1);
    witness.cosign(&log.checkpoint(), 310, &log).await.unwrap();
}

/// A key that no witness here signs with.
fn key() -> VerifierKey {
    let signer = Ed25519NoteSigner::generate("witness.example/liar").unwrap();
    let bytes = *signer.verifier_key().as_bytes();
    VerifierKey::new("witness.example/liar", KeyKind::CosignatureV1, bytes).unwrap()
}

/// A line in the name of `key`, of the right shape.
fn line(key: &VerifierKey) -> String {
    let bytes = [&key.id()[..], &1_800_000_000u64.to_be_bytes(), &[7; 64]].concat();
    format!("— {} {}\n", key.name(), STANDARD.encode(bytes))
}

/// The result for a witness with these responses, and how often it was asked.
async fn told_by(
    key: &VerifierKey,
    lie: impl Fn(usize) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (WitnessError, usize) {
    let (address, asked) = liar::serve(lie).await;
    let text = format!("http://{address}/deep/path {key}");
    let witness = Witness::parse(&text, Duration::from_millis(500)).unwrap();
    let log = Log::of(300);
    let before = Instant::now();
    let error = witness.cosign(&log.checkpoint(), 5, &log).await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(5), "{error}");
    assert!(error.to_string().contains("witness.example/liar"), "{error}");
    let asked = asked.lock().unwrap();
    for (path, body) in &*asked {
        assert_eq!(path, "/deep/path/add-checkpoint");
        assert!(body.contains("\nlog.example\n300\n"), "{body}");
    }
    (error, asked.len())
}

#[tokio::test]
async fn nothing_is_kept_that_the_witness_did_not_sign() {
    let (key, other) = (key(), key());
    let forged = line(&key);
    let (error, asked) = told_by(&key, move |_| answer(200, forged.clone())).await;
    assert!(matches!(error, WitnessError::Forged(..)), "{error}");
    assert_eq!(asked, 1);
    let forged = line(&other);
    let (error, _) = told_by(&key, move |_| answer(200, forged.clone())).await;
    assert!(matches!(error, WitnessError::Forged(..)), "{error}");
    for garbage in ["", "{}", "— \n", "\n\n", "— a b\n"] {
        let (error, _) = told_by(&key, move |_| answer(200, garbage)).await;
        assert!(matches!(error, WitnessError::Nonsense(..)), "{garbage}: {error}");
    }
    let (error, _) = told_by(&key, |_| answer(200, vec![0xff; 100])).await;
    assert!(matches!(error, WitnessError::Nonsense(..)), "{error}");
}

#[tokio::test]
async fn a_witness_takes_neither_our_memory_nor_our_time() {
    let key = key();
    let too_long = |error: WitnessError| {
        assert!(matches!(error, WitnessError::Peer(_, PeerError::TooLong(_))), "{error}");
    };
    too_long(told_by(&key, |_| answer(200, vec![b'x'; 10_000_000])).await.0);
    too_long(told_by(&key, |_| answer(409, liar::endless(10_000_000))).await.0);
    let (error, _) = told_by(&key, |_| answer(200, liar::dripping())).await;
    assert!(matches!(error, WitnessError::Peer(_, PeerError::Timeout(_))), "{error}");

    // Accepts connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("http://{} {key}", silent.local_addr().unwrap());
    let witness = Witness::parse(&text, Duration::from_millis(200)).unwrap();
    let log = Log::of(3);
    let error = witness.cosign(&log.checkpoint(), 0, &log).await.unwrap_err();
    assert!(matches!(error, WitnessError::Peer(_, PeerError::Timeout(_))), "{error}");
    drop(silent);
    let error = witness.cosign(&log.checkpoint(), 0, &log).await.unwrap_err();
    assert!(matches!(error, WitnessError::Peer(_, PeerError::Unreachable(_))), "{error}");
}

#[tokio::test]
async fn each_refusal_has_its_name_and_is_not_repeated_blindly() {
    let key = key();
    let name = || key.name().clone();
    for (status, body, expected) in [
        (403, "", WitnessError::UntrustedKey(name())),
        (404, "", WitnessError::UnknownLog(name())),
        (422, "", WitnessError::Forked { witness: name(), size: 300 }),
        (409, "5\n", WitnessError::Forked { witness: name(), size: 300 }),
        (409, "301\n", WitnessError::Ahead { witness: name(), theirs: 301, ours: 300 }),
        (409, "lots", WitnessError::Status(name(), 409)),
        (302, "", WitnessError::Status(name(), 302)),
        (500, "", WitnessError::Status(name(), 500)),
    ] {
        let told = told_by(&key, move |_| answer(status, body)).await;
        assert_eq!(told, (expected, 1), "{status} {body}");
    }
    // Told that it saw 300, it says 300 again: it has another root there.
    let (error, asked) = told_by(&key, |_| answer(409, "300\n")).await;
    assert_eq!((error.is_fork(), asked), (true, 2), "{error}");
    let (error, asked) = told_by(&key, |n| answer(409, format!("{}\n", 10 + n))).await;
    assert_eq!((error, asked), (WitnessError::Unsteady(name()), 3));
}

#[tokio::test]
async fn without_our_own_tiles_nobody_is_asked() {
    let (address, asked) = liar::serve(|_| answer(500, "")).await;
    let witness = Witness::parse(&format!("http://{address} {}", key()), PATIENCE).unwrap();
    let log = Log::of(300);
    log.set_away(true);
    let error = witness.cosign(&log.checkpoint(), 7, &log).await.unwrap_err();
    assert!(matches!(error, WitnessError::Source(_, SourceError::Away(..))), "{error}");
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn a_witness_has_an_address_and_a_key_of_its_kind() {
    let parse = |text: &str| Witness::parse(text, PATIENCE).map(|_| ()).unwrap_err();
    let key = key();
    assert!(Witness::parse(&format!("https://witness.example/x {key}"), PATIENCE).is_ok());
    assert_eq!(parse("https://witness.example"), WitnessUrlError::Shape);
    assert_eq!(parse(&format!("https://witness.example {key} more")), WitnessUrlError::Shape);
    let log = Ed25519NoteSigner::generate("log.example").unwrap();
    let of_log = parse(&format!("https://witness.example {}", log.verifier_key()));
    assert!(matches!(of_log, WitnessUrlError::Kind(_)), "{of_log}");
    assert!(matches!(parse("https://witness.example x+y+z"), WitnessUrlError::Key(_)));
    for url in ["http://witness.example", "https://a:hunter2@witness.example", "ftp://x/", "x"] {
        let error = parse(&format!("{url} {key}"));
        assert!(matches!(error, WitnessUrlError::Url(_)), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
