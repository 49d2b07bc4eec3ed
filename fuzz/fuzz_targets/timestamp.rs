//! Answers of a timestamp authority from anywhere: none is taken for a token over our signature but
//! the one that the authority made, and nothing panics.
//!
//! `seeds/timestamp/genuine.tsr` is about the signature in `seeds/logged_bundle/genuine.json`; the
//! key of the authority in `tsa.pem` was thrown away. `examples/mint_timestamp.rs` made both.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::Bundle;
use sentinel_transparency::Timestamper;

static GENUINE: &[u8] = include_bytes!("../seeds/timestamp/genuine.tsr");
static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
    Bundle::parse(include_bytes!("../seeds/logged_bundle/genuine.json")).expect("a bundle")
});
static AUTHORITY: LazyLock<Timestamper> = LazyLock::new(|| {
    let chain = include_str!("../tsa.pem");
    Timestamper::new("https://tsa.example", chain, Duration::ZERO).expect("an authority")
});

fuzz_target!(|bytes: &[u8]| {
    let verify = |answer| AUTHORITY.verify(answer, BUNDLE.envelope.signature());
    static TIME: LazyLock<String> = LazyLock::new(|| {
        let time = AUTHORITY.verify(GENUINE, BUNDLE.envelope.signature());
        time.expect("stale seed: run `cargo run --example mint_timestamp`").to_string()
    });
    let time = &*TIME;
    // What is not signed may differ: the time may not.
    if let Ok(told) = verify(bytes) {
        assert_eq!(told.to_string(), *time, "forged");
    }
});
