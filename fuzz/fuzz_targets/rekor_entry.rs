//! Answers of a Rekor from anywhere: parsing does not panic, what parses is written back the same,
//! and nothing is a receipt but an entry of the trusted log about the leaf that was entered.
//!
//! `seeds/rekor_entry/genuine.json` is the entry in `seeds/logged_bundle/genuine.json`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{HashedRekord, TrustedLog, TrustedRoot};

static GENUINE: LazyLock<TransparencyLogEntry> = LazyLock::new(|| {
    let json = include_bytes!("../seeds/rekor_entry/genuine.json");
    let entry = TransparencyLogEntry::parse(json).expect("an entry");
    entry.verify(LOG.key(), &LEAF).expect("stale seed: take the entry of the bundle");
    entry
});
static LEAF: LazyLock<HashedRekord> = LazyLock::new(|| {
    let json = include_bytes!("../seeds/rekor_entry/genuine.json");
    let entry = TransparencyLogEntry::parse(json).expect("an entry");
    HashedRekord::parse(&entry.canonicalized_body).expect("a leaf")
});
static LOG: LazyLock<TrustedLog> = LazyLock::new(|| {
    let root = TrustedRoot::parse(include_bytes!("../logged-root.json")).expect("a trusted root");
    root.logs.into_iter().next().expect("a log")
});

fuzz_target!(|bytes: &[u8]| {
    let genuine = &*GENUINE;
    let Ok(entry) = TransparencyLogEntry::parse(bytes) else { return };
    if let Ok(json) = entry.to_json() {
        assert_eq!(TransparencyLogEntry::parse(&json).as_ref(), Ok(&entry));
    }
    if entry.verify(LOG.key(), &LEAF).is_ok() {
        let (proof, expected) = (&entry.inclusion_proof, &genuine.inclusion_proof);
        assert_eq!(entry.log_index, genuine.log_index, "forged");
        assert_eq!(entry.canonicalized_body, genuine.canonicalized_body, "forged");
        assert_eq!(proof.hashes, expected.hashes, "forged");
        assert_eq!((proof.tree_size, proof.root_hash), (expected.tree_size, expected.root_hash));
    }
});
