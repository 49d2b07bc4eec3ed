//! Notes, checkpoints, keys and answers of witnesses from anywhere: parsing does not panic, what
//! parses is written back byte for byte, and no checkpoint opens but the one that the log signed.
//!
//! `seeds/note/checkpoint.txt` is signed by the key in `log.vkey`, whose private half was thrown
//! away.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::log::{
    AddCheckpoint, Checkpoint, Note, NoteSignature, SignedCheckpoint, VerifierKey,
};

static GENUINE: &str = include_str!("../seeds/note/checkpoint.txt");
static LOG: LazyLock<VerifierKey> = LazyLock::new(|| {
    VerifierKey::parse(include_str!("../log.vkey").trim_end()).expect("a verifier key")
});
static SIGNED: LazyLock<SignedCheckpoint> = LazyLock::new(|| {
    Checkpoint::open(GENUINE, &LOG).expect("stale seed: run `cargo run --example mint_logged`")
});

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&SIGNED);
    let _ = AddCheckpoint::parse(409, bytes);
    // What a witness answers is added to the checkpoint, and takes nothing away from it.
    if let Ok(AddCheckpoint::Cosigned(lines)) = AddCheckpoint::parse(200, bytes) {
        if let Ok(note) = SIGNED.note().with_signatures(lines) {
            assert!(note.verify(&LOG).is_ok(), "the log's own signature was lost");
            assert_eq!(Note::parse(&note.to_string()).as_ref(), Ok(&note));
        }
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.to_string(), text);
        assert_eq!(note.with_signatures(note.signatures().to_vec()).as_ref(), Ok(&note));
        if note.verify(&LOG).is_ok() {
            assert_eq!(note.text(), SIGNED.note().text(), "forged");
        }
    }
    if let Ok(signed) = Checkpoint::open(text, &LOG) {
        assert_eq!(signed.checkpoint(), SIGNED.checkpoint(), "forged");
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_text(), text);
    }
    if let Ok(lines) = NoteSignature::parse_lines(text) {
        assert_eq!(lines.iter().map(ToString::to_string).collect::<String>(), text);
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
});
