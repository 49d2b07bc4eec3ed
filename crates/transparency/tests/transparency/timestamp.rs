//! Timestamps: a real authority, and others that lie.

use std::time::Duration;

use sentinel_provenance::log::{HashedRekord, TilePath, TrustedLog, TrustedRoot, prove_inclusion};
use sentinel_provenance::{EcdsaP256Signer, Envelope, Signer as _, bundle::TransparencyLogEntry};
use sentinel_testkit::manifest::signed;
use sentinel_testkit::timestamp::Server;
use sentinel_transparency::{
    AuthorityError, PeerError, TIMESTAMP_PATIENCE, TimestampError, Timestamper,
};

use crate::cosign::{self, Trust};
use crate::liar::{self, answer};
use crate::log::Log;

const SIGNED: &[&str] = &["--use-signed-timestamps"];

fn of(server: &Server) -> Timestamper {
    Timestamper::new(&server.url(), &server.chain(), TIMESTAMP_PATIENCE).unwrap()
}

fn leaf() -> HashedRekord {
    let signer = EcdsaP256Signer::generate().unwrap();
    let envelope = Envelope::sign(b"{}".to_vec(), &signer).unwrap();
    HashedRekord::of(&envelope, signer.public_key())
}

#[tokio::test]
async fn a_real_authority_stamps_the_signature_and_cosign_believes_it() {
    // One at a time.
    let other = of(&Server::start());
    let server = Server::start();
    let timestamper = of(&server);
    let it = signed();
    let leaf = HashedRekord::of(&it.bundle.envelope, it.signer.public_key());
    let (token, time) = timestamper.stamp(&leaf).await.unwrap();
    let age = jiff::Timestamp::now().duration_since(time);
    assert!(age.abs() < jiff::SignedDuration::from_secs(60), "{time}");

    let mut log = Log::of(0);
    log.append(leaf.to_bytes());
    log.grow(3);
    let proof = prove_inclusion(0, 4, |tile| {
        let bytes = log.bytes(TilePath::Hashes(tile)).ok_or("absent")?;
        tile.parse_hashes(&bytes).map_err(|_| "damaged")
    });
    let entry =
        TransparencyLogEntry::new(log.key(), &leaf, 0, proof.unwrap(), &log.checkpoint()).unwrap();
    let bundle = it.bundle.clone().with_log_entry(entry).unwrap();
    let stamped = bundle.clone().with_timestamp(token).unwrap().to_json().unwrap();
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    let root = TrustedRoot { logs: vec![TrustedLog::new(log.key().clone(), since).unwrap()] };
    let json = root.to_json_with(&[timestamper.trusted()]).unwrap();
    // We read it ourselves too, and believe the logs in it.
    assert_eq!(TrustedRoot::parse(&json).unwrap(), root);
    let trust = Trust { key: it.signer.public_key(), root: &json, artifact: &it.artifact };
    assert_eq!(cosign::accepts(&stamped, &trust, SIGNED), Ok(()));
    let unstamped = bundle.to_json().unwrap();
    assert!(cosign::accepts(&unstamped, &trust, SIGNED).is_err());
    let json = root.to_json_with(&[other.trusted()]).unwrap();
    assert!(cosign::accepts(&stamped, &Trust { root: &json, ..trust }, SIGNED).is_err());
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_not_kept() {
    // One at a time.
    let chain_of_other = Server::start().chain();
    let server = Server::start();
    let timestamper = of(&server);
    let stranger = Timestamper::new(&server.url(), &chain_of_other, TIMESTAMP_PATIENCE).unwrap();
    let (leaf, other) = (leaf(), leaf());
    let (token, time) = timestamper.stamp(&leaf).await.unwrap();
    assert_eq!(timestamper.verify(&token, leaf.signature()), Ok(time));
    let forged = |told| matches!(told, Err(TimestampError::Forged(_)));
    assert!(forged(timestamper.verify(&token, other.signature())), "another signature");
    assert!(forged(stranger.verify(&token, leaf.signature())), "another authority");
    for length in 0..token.len() {
        assert!(forged(timestamper.verify(&token[..length], leaf.signature())), "{length}");
    }

    let error = stranger.stamp(&leaf).await.unwrap_err();
    assert!(matches!(error, TimestampError::Forged(_)), "{error}");
    let patience = Duration::from_millis(500);
    let told_by = async |lie: fn(usize) -> axum::http::Response<axum::body::Body>| {
        let (address, asked) = liar::serve(lie).await;
        let url = format!("http://{address}/tsa");
        let error = Timestamper::new(&url, &server.chain(), patience).unwrap().stamp(&leaf).await;
        assert_eq!(asked.lock().unwrap()[0].0, "/tsa");
        error.unwrap_err()
    };
    assert!(matches!(told_by(|_| answer(200, "nonsense")).await, TimestampError::Forged(_)));
    assert_eq!(told_by(|_| answer(503, "")).await, TimestampError::Status(503));
    let error = told_by(|_| answer(200, liar::endless(10_000_000))).await;
    assert!(matches!(error, TimestampError::Peer(PeerError::TooLong(_))), "{error}");
    let error = told_by(|_| answer(200, liar::dripping())).await;
    assert!(matches!(error, TimestampError::Peer(PeerError::Timeout(_))), "{error}");
}

#[test]
fn an_authority_has_an_address_and_a_chain() {
    let chain = Server::start().chain();
    let new = |url: &str, pem: &str| Timestamper::new(url, pem, TIMESTAMP_PATIENCE).map(|_| ());
    assert_eq!(new("http://tsa.example/x", &chain), Ok(()));
    assert_eq!(new("https://tsa.example/x", ""), Err(AuthorityError::Chain(0)));
    let end = chain.find("-----END").unwrap();
    let one = &chain[..end + "-----END CERTIFICATE-----".len()];
    assert_eq!(new("https://tsa.example/x", one), Err(AuthorityError::Chain(1)));
    let key = chain.replace("CERTIFICATE", "PUBLIC KEY");
    assert!(new("https://tsa.example/x", &key).is_err());
    assert!(matches!(new("ftp://tsa.example", &chain), Err(AuthorityError::Url(_))));
}
