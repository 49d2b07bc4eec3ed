//! The fuzz targets of this crate as ordinary code: they compile, and find nothing in their seeds
//! and in some changes of these. `fuzz/run.sh` searches further, with a fuzzer.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

// What the targets call by the name of the fuzzer is the macro below.
extern crate self as libfuzzer_sys;

use std::path::Path;

#[allow(unused_attributes, reason = "the attribute of the fuzzer's program")]
#[path = "../../../../fuzz/fuzz_targets/mcp_lines.rs"]
mod mcp_lines;
#[allow(unused_attributes, reason = "the attribute of the fuzzer's program")]
#[path = "../../../../fuzz/fuzz_targets/mcp_message.rs"]
mod mcp_message;
#[allow(unused_attributes, reason = "the attribute of the fuzzer's program")]
#[path = "../../../../fuzz/fuzz_targets/mcp_sse.rs"]
mod mcp_sse;

/// Changes of one seed that are tried.
const CHANGES: u64 = 1000;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

/// Bytes at which formats change their meaning.
const TELLING: &[u8] = b"\"\\{}[]:,\r\n\0 0-e\xff\xc3:";

/// Changes, removes, repeats or inserts a few bytes.
fn change(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let byte = TELLING[numbers.below(TELLING.len())];
        match numbers.below(4) {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => {
                let end = at + numbers.below(bytes.len() - at + 1).min(40);
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

fn search(target: &str, run: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut count = 0;
    for seed in std::fs::read_dir(&seeds).expect("the target has seeds") {
        let seed = std::fs::read(seed.unwrap().path()).unwrap();
        run(&seed);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for _ in 0..CHANGES {
            run(&change(&seed, &mut numbers));
        }
        count += 1;
    }
    assert!(count > 0, "{target} has no seeds");
}

#[test]
fn messages() {
    search("mcp_message", mcp_message::run);
}

#[test]
fn lines() {
    search("mcp_lines", mcp_lines::run);
}

#[test]
fn events() {
    search("mcp_sse", mcp_sse::run);
}

/// Makes the body of a target a function. It stands last, so that the targets have it by its path.
#[macro_export]
macro_rules! fuzz_target {
    (|$bytes:ident: &[u8]| $body:block) => {
        pub(crate) fn run($bytes: &[u8]) $body
    };
}
