//! Keys in files and with services, as a server opens and uses them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod addresses;
mod aws;
mod files;
mod google;
mod independent;
mod misbehaviour;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sentinel_provenance::log::{Checkpoint, leaf_hash};
use sentinel_signers::{Access, KeyAddress, KeyService, LogKey, ManifestKey, SignersError};

/// The environment of a server, and little patience.
pub(crate) fn access(variables: &[(&str, &str)]) -> Access {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: BTreeMap<_, _> = variables.iter().map(owned).collect();
    Access { environment, token_file: None, timeout: Some(Duration::from_millis(500)) }
}

pub(crate) async fn open(
    address: &str,
    access: &Access,
) -> Result<Arc<dyn KeyService>, SignersError> {
    KeyAddress::parse(address).unwrap().open(access).await
}

/// Signs a statement; what comes back verifies, by the key's public half and by nothing we keep.
pub(crate) async fn signs_manifests(service: Arc<dyn KeyService>) -> Result<(), SignersError> {
    let key = ManifestKey::new(service).unwrap();
    let envelope = key.sign(b"{\"a\":1}".to_vec()).await?;
    let pem = key.public_key().to_spki_pem().unwrap();
    let public = sentinel_provenance::PublicKey::from_spki_pem(&pem).unwrap();
    envelope.verify(&public).unwrap();
    assert_eq!(envelope.keyid(), Some(public.hint()));
    assert_eq!(envelope.payload(), b"{\"a\":1}");
    Ok(())
}

/// Signs a checkpoint; what comes back opens with the log's verifier key.
pub(crate) async fn signs_checkpoints(service: Arc<dyn KeyService>) -> Result<(), SignersError> {
    let key = LogKey::new(service, "log.example").unwrap();
    let checkpoint = Checkpoint::new("log.example", 1, leaf_hash(b"leaf")).unwrap();
    let note = key.sign(&checkpoint).await?.to_string();
    let opened = Checkpoint::open(&note, key.verifier_key()).unwrap();
    assert_eq!(opened.checkpoint(), &checkpoint);
    let elsewhere = Checkpoint::new("other.example", 1, leaf_hash(b"leaf")).unwrap();
    assert!(key.sign(&elsewhere).await.is_err(), "the checkpoint of another log was signed");
    Ok(())
}

/// The kind of key that the other of the two needs is refused when it is opened.
pub(crate) fn refuses_the_other_kind(manifests: Arc<dyn KeyService>, log: Arc<dyn KeyService>) {
    let error = ManifestKey::new(log).unwrap_err();
    assert!(error.to_string().contains("P-256"), "{error}");
    let error = LogKey::new(manifests, "log.example").unwrap_err();
    assert!(error.to_string().contains("Ed25519"), "{error}");
}
