//! Rekor v2: the real server, and others that lie.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response, Uri};
use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Ed25519NoteSigner, HashedRekord, NoteSigner as _, SignedCheckpoint, TilePath, TrustedLog,
    TrustedRoot, VerifierKey, prove_inclusion,
};
use sentinel_provenance::{
    EcdsaP256Signer, Envelope, LogEntryError, LogTrust, Signer as _, verify_logged_bundle,
};
use sentinel_testkit::manifest::signed;
use sentinel_testkit::rekor::Server;
use sentinel_transparency::{PeerError, REKOR_PATIENCE, Rekor, RekorError};

use crate::cosign::{self, Trust};
use crate::liar::{self, answer};
use crate::log::Log;

pub(crate) const REKOR: &str = "rekor.example";

pub(crate) fn trusting(keys: &[&VerifierKey]) -> TrustedRoot {
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    let log = |key: &&VerifierKey| TrustedLog::new((*key).clone(), since).unwrap();
    TrustedRoot { logs: keys.iter().map(log).collect() }
}

fn leaf(signer: &EcdsaP256Signer, text: &str) -> HashedRekord {
    let envelope = Envelope::sign(text.as_bytes().to_vec(), signer).unwrap();
    HashedRekord::of(&envelope, signer.public_key())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_rekor_takes_our_leaf_and_cosign_accepts_the_bundle_with_both_logs() {
    let key = Ed25519NoteSigner::generate(REKOR).unwrap();
    let server = Server::start(REKOR, &key.to_pkcs8_pem().unwrap());
    let it = signed();
    let leaf = HashedRekord::of(&it.bundle.envelope, it.signer.public_key());
    let url = format!("http://{}", server.address());
    let rekor = Rekor::new(&url, trusting(&[key.verifier_key()]), REKOR_PATIENCE).unwrap();
    let receipt = rekor.enter(&leaf).await.unwrap();
    assert_eq!(receipt.log_index, 0);

    // As the second entry of a bundle, from its stored form.
    let receipt = TransparencyLogEntry::parse(&receipt.to_json().unwrap()).unwrap();
    let mut log = Log::of(40);
    log.append(leaf.to_bytes());
    log.grow(300);
    let proof = prove_inclusion(40, log.size(), |tile| {
        let bytes = log.bytes(TilePath::Hashes(tile)).ok_or("absent")?;
        tile.parse_hashes(&bytes).map_err(|_| "damaged")
    });
    let ours =
        TransparencyLogEntry::new(log.key(), &leaf, 40, proof.unwrap(), &log.checkpoint()).unwrap();
    let bundle = it.bundle.clone().with_log_entry(ours).unwrap().with_log_entry(receipt).unwrap();
    let root = trusting(&[log.key(), key.verifier_key()]);
    let json = root.to_json().unwrap();
    let trust = Trust { key: it.signer.public_key(), root: &json, artifact: &it.artifact };
    assert_eq!(cosign::accepts(&bundle.to_json().unwrap(), &trust, &[]), Ok(()));
    let logs = LogTrust { root, witnesses: None };
    assert!(verify_logged_bundle(&bundle, trust.key, &logs, Some(&it.artifact)).verified());

    // With Rekor alone, and not with an untrusted Rekor.
    let receipt = bundle.verification_material.tlog_entries[1].clone();
    let alone = it.bundle.clone().with_log_entry(receipt);
    let alone = alone.unwrap().to_json().unwrap();
    assert_eq!(cosign::accepts(&alone, &trust, &[]), Ok(()));
    let json = trusting(&[log.key()]).to_json().unwrap();
    let trust = Trust { root: &json, ..trust };
    assert!(cosign::accepts(&alone, &trust, &[]).is_err());
    // It takes no notice of logs that it does not trust, as long as there is another.
    assert_eq!(cosign::accepts(&bundle.to_json().unwrap(), &trust, &[]), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_rekor_has_already_is_found_in_its_tiles() {
    let key = Ed25519NoteSigner::generate(REKOR).unwrap();
    let server = Server::start(REKOR, &key.to_pkcs8_pem().unwrap());
    let url = server.url();
    let rekor = Rekor::new(&url, trusting(&[key.verifier_key()]), REKOR_PATIENCE).unwrap();
    let signer = EcdsaP256Signer::generate().unwrap();
    let leaves: Vec<_> = (0..300).map(|n| leaf(&signer, &format!("{{\"n\":{n}}}"))).collect();
    let entered = futures::future::join_all(leaves.iter().map(|leaf| rekor.enter(leaf))).await;
    for (leaf, entry) in leaves.iter().zip(entered) {
        let entry = entry.unwrap();
        // The answer to the first was lost: it is entered again.
        let again = loop {
            match rekor.enter(leaf).await {
                Err(RekorError::NotYet(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                again => break again.unwrap(),
            }
        };
        assert_eq!(again.log_index, entry.log_index);
        assert!(again.inclusion_proof.tree_size >= entry.inclusion_proof.tree_size);
        let signed: SignedCheckpoint = again.verify(key.verifier_key(), leaf).unwrap();
        assert_eq!(signed.size(), again.inclusion_proof.tree_size);
    }
}

/// A test server in place of a Rekor that has the leaves of `log` and responds to each entry with
/// `status`: only with it can tiles be dropped or exchanged.
async fn stand_in(log: Log, status: u16, index: &'static str, drop_partial: bool) -> String {
    // Of a time when the last tile was not full yet, and the tiles were what they were.
    let checkpoint = log.honest().checkpoint_at(300).note().to_string();
    let log = Arc::new(log);
    let handler = move |method: Method, uri: Uri| async move {
        if method == Method::POST {
            let response = Response::builder().status(status).header("x-log-index", index);
            return response.body(Body::empty()).unwrap();
        }
        let name = uri.path().strip_prefix("/api/v2/").unwrap();
        if name == "checkpoint" {
            return answer(200, checkpoint);
        }
        let path = TilePath::parse(name).unwrap();
        if drop_partial && name.contains(".p/") && name.starts_with("tile/0/") {
            return answer(404, "");
        }
        if drop_partial && name.contains(".p/") && name.starts_with("tile/entries/") {
            return answer(410, "");
        }
        match log.bytes(path) {
            Some(bytes) => answer(200, bytes),
            None => answer(404, ""),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = axum::Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}

/// A log of 600 leaves, of which number 270 is one of ours.
fn log_with(leaf: &HashedRekord) -> Log {
    let mut log = Log::of(270);
    log.append(leaf.to_bytes());
    log.with(329)
}

#[tokio::test]
async fn a_duplicate_is_proved_also_when_partial_tiles_are_gone() {
    let signer = EcdsaP256Signer::generate().unwrap();
    let leaf = leaf(&signer, "{}");
    for drop_partial in [false, true] {
        let log = log_with(&leaf);
        let root = trusting(&[log.key()]);
        let url = stand_in(log, 409, "270", drop_partial).await;
        let rekor = Rekor::new(&url, root.clone(), REKOR_PATIENCE).unwrap();
        let entry = rekor.enter(&leaf).await.unwrap();
        assert_eq!(entry.log_index, 270);
        assert_eq!(entry.verify(root.logs[0].key(), &leaf).unwrap().size(), 300);
    }
}

#[tokio::test]
async fn an_answer_that_proves_nothing_is_no_receipt() {
    let signer = EcdsaP256Signer::generate().unwrap();
    let leaf = leaf(&signer, "{}");
    let refused = async |log: Log, root: TrustedRoot, status, index| {
        let url = stand_in(log, status, index, false).await;
        Rekor::new(&url, root, REKOR_PATIENCE).unwrap().enter(&leaf).await.unwrap_err()
    };
    let of = |log: &Log| trusting(&[log.key()]);
    let log = log_with(&leaf);
    let (root, stranger) = (of(&log), of(&Log::of(1)));
    let error = refused(log_with(&leaf), root.clone(), 409, "270").await;
    assert_eq!(error, RekorError::Untrusted, "signed by another key");
    let error = refused(log.cut(600), stranger, 409, "270").await;
    assert_eq!(error, RekorError::Untrusted);
    let error = refused(log.cut(600), root.clone(), 409, "271").await;
    assert_eq!(error, RekorError::Forged(LogEntryError::Leaf));
    for index in ["300", "18446744073709551615"] {
        let error = refused(log.cut(600), root.clone(), 409, index).await;
        assert_eq!(error, RekorError::NotYet(index.parse().unwrap()));
    }
    for index in ["", "-1", "x", "18446744073709551616"] {
        let error = refused(log.cut(600), root.clone(), 409, index).await;
        assert_eq!(error, RekorError::NoIndex);
    }
    for status in [400, 405, 429, 500, 302] {
        let error = refused(log.cut(600), root.clone(), status, "1").await;
        assert_eq!(error, RekorError::Status(status));
    }
    let error = refused(log.cut(600), root.clone(), 201, "1").await;
    assert!(matches!(error, RekorError::Nonsense(_)), "{error}");
    // The entry is there, the tree around it is another one.
    let mut other = log.cut(600);
    other.exchange_hash(3);
    let error = refused(other, root, 409, "270").await;
    assert!(matches!(error, RekorError::Forged(LogEntryError::Proof(_))), "{error}");
}

#[tokio::test]
async fn an_entry_is_verified_before_it_is_a_receipt() {
    let signer = EcdsaP256Signer::generate().unwrap();
    let (leaf, other) = (leaf(&signer, "{}"), leaf(&signer, "[]"));
    let log = log_with(&leaf);
    let entry = |index: u64, leaf: &HashedRekord| {
        let proof = prove_inclusion(index, 600, |tile| {
            let bytes = log.bytes(TilePath::Hashes(tile)).ok_or("absent")?;
            tile.parse_hashes(&bytes).map_err(|_| "damaged")
        });
        TransparencyLogEntry::new(log.key(), leaf, index, proof.unwrap(), &log.checkpoint())
    };
    let good = entry(270, &leaf).unwrap();
    let enter = async |body: Vec<u8>, leaf: &HashedRekord| {
        let (address, _) = liar::serve(move |_| answer(201, body.clone())).await;
        let patience = Duration::from_millis(500);
        let root = trusting(&[log.key()]);
        Rekor::new(&format!("http://{address}"), root, patience).unwrap().enter(leaf).await
    };
    let json = |entry: &TransparencyLogEntry| entry.to_json().unwrap();
    assert_eq!(enter(json(&good), &leaf).await, Ok(good.clone()));
    let forged = enter(json(&good), &other).await;
    assert_eq!(forged, Err(RekorError::Forged(LogEntryError::Leaf)));

    type Change = fn(&mut TransparencyLogEntry);
    let changes: [Change; 7] = [
        |entry| entry.log_index += 1,
        |entry| entry.kind_version.version = "0.0.1".to_owned(),
        |entry| entry.canonicalized_body[9] ^= 1,
        |entry| entry.inclusion_proof.tree_size += 1,
        |entry| entry.inclusion_proof.hashes.swap(0, 1),
        |entry| "nonsense".clone_into(&mut entry.inclusion_proof.checkpoint.envelope),
        |entry| {
            let note = &mut entry.inclusion_proof.checkpoint.envelope;
            *note = note.replace("\n600\n", "\n601\n");
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut forged = good.clone();
        change(&mut forged);
        let told = enter(json(&forged), &leaf).await;
        assert!(matches!(told, Err(RekorError::Forged(_))), "{number}: {told:?}");
    }
    let (address, _) = liar::serve(|_| answer(201, liar::endless(10_000_000))).await;
    let rekor = Rekor::new(&format!("http://{address}"), trusting(&[]), REKOR_PATIENCE).unwrap();
    let error = rekor.enter(&leaf).await.unwrap_err();
    assert!(matches!(error, RekorError::Peer(PeerError::TooLong(_))), "{error}");
}
