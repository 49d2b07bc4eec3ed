//! Leaves and trusted roots from anywhere: parsing does not panic, a leaf that parses is written
//! back byte for byte, and a trusted root that parses survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::log::{HashedRekord, TrustedRoot};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(leaf) = HashedRekord::parse(bytes) {
        assert_eq!(leaf.to_bytes(), bytes);
    }
    if let Ok(root) = TrustedRoot::parse(bytes) {
        let written = root.to_json().expect("a parsed trusted root can be written");
        assert_eq!(TrustedRoot::parse(&written).as_ref(), Ok(&root));
        for log in &root.logs {
            assert_eq!(root.log(&log.log_id().key_id), Some(log));
        }
    }
});
