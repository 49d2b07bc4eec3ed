//! Keys, notes, checkpoints and witnesses.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::Index;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{
    AddCheckpoint, Checkpoint, CheckpointError, Ed25519NoteSigner, KeyKind, Note, NoteError,
    NoteKeyError, NoteSignature, NoteSigner as _, VerifierKey, WitnessPolicy, WitnessPolicyError,
    add_checkpoint_body, empty_root, leaf_hash,
};

use crate::memory_log::{MemoryLog, ORIGIN};

/// A witness that signs whatever it is given.
pub(crate) struct Witness {
    key_pair: Ed25519KeyPair,
    pub(crate) key: VerifierKey,
}

impl Witness {
    pub(crate) fn new(name: &str) -> Self {
        let key_pair = Ed25519KeyPair::generate().unwrap();
        let bytes = key_pair.public_key().as_ref().try_into().unwrap();
        Self { key_pair, key: VerifierKey::new(name, KeyKind::CosignatureV1, bytes).unwrap() }
    }

    /// A signature line, as tlog-cosignature defines it.
    pub(crate) fn line(&self, text: &str, time: u64) -> String {
        let signed = self.key_pair.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
        let bytes = [&self.key.id()[..], &time.to_be_bytes(), signed.as_ref()].concat();
        format!("— {} {}\n", self.key.name(), STANDARD.encode(bytes))
    }

    pub(crate) fn cosign(&self, note: &Note, time: u64) -> Note {
        let lines = NoteSignature::parse_lines(&self.line(note.text(), time)).unwrap();
        note.with_signatures(lines).unwrap()
    }
}

fn signed() -> (Ed25519NoteSigner, Note) {
    let mut log = MemoryLog::new();
    log.fill(3);
    let note = log.checkpoint();
    (log.signer, note)
}

#[test]
fn a_note_signed_by_the_go_implementation_verifies() {
    // From the tests of golang.org/x/mod/sumdb/note.
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let note = concat!(
        "If you think cryptography is the answer to your problem,\n",
        "then you don't know what your problem is.\n",
        "\n",
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng",
        "otpRZb6KE6RyyBwJnAM=\n",
    );
    let key = VerifierKey::parse(key).unwrap();
    let parsed = Note::parse(note).unwrap();
    assert_eq!(parsed.verify(&key), Ok(()));
    assert_eq!(parsed.to_string(), note);
    let changed = Note::parse(&note.replace("answer", "Answer")).unwrap();
    assert_eq!(changed.verify(&key), Err(NoteError::Mismatch));
    let renamed = VerifierKey::new("PeterNeuman", KeyKind::Ed25519, *key.as_bytes()).unwrap();
    assert_eq!(parsed.verify(&renamed), Err(NoteError::Unsigned));
}

#[test]
fn keys_have_one_spelling() {
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    assert_eq!(VerifierKey::parse(text).unwrap().to_string(), text);
    let refused = |text: &str| VerifierKey::parse(text).unwrap_err();
    assert_eq!(refused(&text.replace("033d", "033e")), NoteKeyError::Id);
    assert_eq!(refused(&text.replace("033de0ae", "033DE0AE")), NoteKeyError::Id);
    assert_eq!(refused(&text.replace("sum.", "som.")), NoteKeyError::Id);
    assert_eq!(refused(&text.replace("+Ac4", "+Ac5")), NoteKeyError::Id);
    assert_eq!(refused(&text.replace("+Ac4", "+Cc4")), NoteKeyError::Kind);
    assert_eq!(refused(&text.replace("sum.golang.org", "")), NoteKeyError::Name);
    assert_eq!(refused(&text.replace("sum.golang.org", "sum golang")), NoteKeyError::Name);
    assert_eq!(refused(&text[..text.len() - 4]), NoteKeyError::NotEd25519);
    for text in ["", "a", "a+b", &format!("{text}="), &text.replace("Ac4zct", "Ac4-ct")] {
        assert!(VerifierKey::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_private_key_round_trips_through_pem() {
    let signer = Ed25519NoteSigner::generate(ORIGIN).unwrap();
    let pem = signer.to_pkcs8_pem().unwrap();
    let loaded = Ed25519NoteSigner::from_pkcs8_pem(ORIGIN, &pem).unwrap();
    assert_eq!(loaded.verifier_key(), signer.verifier_key());
    assert_eq!(loaded.sign(b"message").unwrap(), signer.sign(b"message").unwrap());
    let spki = signer.verifier_key().to_spki_der();
    let read = VerifierKey::from_spki_der(ORIGIN, KeyKind::Ed25519, &spki).unwrap();
    assert_eq!(&read, signer.verifier_key());
    let renamed = pem.replace("PRIVATE", "PUBLIC");
    for pem in ["", &renamed, &pem[..60]] {
        assert!(Ed25519NoteSigner::from_pkcs8_pem(ORIGIN, pem).is_err());
    }
    let debug = format!("{signer:?}");
    assert_eq!(debug, format!("Ed25519NoteSigner({})", signer.verifier_key()));
}

#[test]
fn unsound_notes_are_refused() {
    let (_, note) = signed();
    let note = note.to_string();
    let (text, line) = note.split_once("\n\n").unwrap();
    for bad in [
        String::new(),
        text.to_owned(),
        format!("{text}\n"),
        format!("{text}\n\n"),
        format!("{text}\n{line}"),
        note.trim_end().to_owned(),
        format!("{note}\n"),
        note.replace("— ", "- "),
        note.replace("— ", "—  "),
        note.replace("— ", "—"),
        note.replace('\n', "\r\n"),
        format!("\t{note}"),
        format!("{note}— {ORIGIN} AAAA\n"),
        format!("{note}— {ORIGIN} AAAAAA==\n"),
        format!("{note}— {ORIGIN} AAAAAAE\n"),
        format!("{note}— a+b AAAAAAE=\n"),
        format!("{note}— a b AAAAAAE=\n"),
        format!("{note}—  AAAAAAE=\n"),
        format!("\n\n{line}"),
    ] {
        // A text of one empty line is valid; everything else is not a note.
        if bad.starts_with('\n') {
            assert_eq!(Note::parse(&bad).unwrap().text(), "\n");
        } else {
            assert!(Note::parse(&bad).is_err(), "{bad:?}");
        }
    }
    let twice = format!("{note}{line}");
    assert_eq!(Note::parse(&twice), Err(NoteError::SignedTwice));
    let stranger = |n: u32| format!("— k{n} AAAAAAE=\n");
    let many: String = (0..63).map(stranger).collect();
    assert!(Note::parse(&format!("{note}{many}")).is_ok());
    let too_many: String = (0..64).map(stranger).collect();
    assert_eq!(Note::parse(&format!("{note}{too_many}")), Err(NoteError::TooManySignatures));
    let long = format!("{}{note}", "a".repeat(65_536));
    assert!(matches!(Note::parse(&long), Err(NoteError::TooLarge { .. })));
}

#[test]
fn signatures_of_strangers_are_ignored() {
    let (signer, note) = signed();
    let other = Ed25519NoteSigner::generate("other.example").unwrap();
    let theirs = Note::sign(note.text().to_owned(), &other).unwrap();
    let both = theirs.with_signatures(note.signatures().to_vec()).unwrap();
    assert_eq!(both.verify(signer.verifier_key()), Ok(()));
    assert_eq!(both.verify(other.verifier_key()), Ok(()));
    assert_eq!(theirs.verify(signer.verifier_key()), Err(NoteError::Unsigned));
    // A signature that is there already is not replaced.
    assert_eq!(both.with_signatures(both.signatures().to_vec()), Ok(both));
}

#[test]
fn unsound_checkpoints_are_refused() {
    let (_, note) = signed();
    let text = note.text();
    assert_eq!(Checkpoint::parse(text).unwrap().to_text(), text);
    for bad in [
        String::new(),
        "\n".to_owned(),
        text.trim_end().to_owned(),
        format!("{text}extension\n"),
        format!("{text}\n"),
        text.replace("\n3\n", "\n03\n"),
        text.replace("\n3\n", "\n+3\n"),
        text.replace("\n3\n", "\n-3\n"),
        text.replace("\n3\n", "\n3 \n"),
        text.replace("\n3\n", "\n0\n"),
        text.replace("\n3\n", "\n9223372036854775808\n"),
        text.replace("=\n", "\n"),
        text.replace(ORIGIN, ""),
        text.replace(ORIGIN, "log example"),
    ] {
        assert_eq!(Checkpoint::parse(&bad), Err(CheckpointError::Malformed), "{bad:?}");
    }
    assert!(Checkpoint::new(ORIGIN, 0, empty_root()).is_ok());
    assert!(Checkpoint::new(ORIGIN, 1, empty_root()).is_err());
}

#[test]
fn a_checkpoint_is_only_that_of_the_log_that_signed() {
    let (signer, note) = signed();
    let opened = Checkpoint::open(&note.to_string(), signer.verifier_key()).unwrap();
    assert_eq!((opened.size(), opened.checkpoint().origin().as_str()), (3, ORIGIN));
    // The key signs a statement about another log.
    let foreign = Checkpoint::new("other.example", 3, opened.root()).unwrap();
    assert!(foreign.sign(&signer).is_err());
    let forced = Note::sign(foreign.to_text(), &signer).unwrap().to_string();
    assert_eq!(Checkpoint::open(&forced, signer.verifier_key()), Err(CheckpointError::Origin));
    let rogue = Ed25519NoteSigner::generate(ORIGIN).unwrap();
    assert_eq!(
        Checkpoint::open(&note.to_string(), rogue.verifier_key()),
        Err(CheckpointError::Note(NoteError::Unsigned))
    );
}

#[test]
fn a_quorum_of_witnesses_is_demanded() {
    let (signer, note) = signed();
    let [a, b, c] = ["a.example", "b.example", "c.example"].map(Witness::new);
    let keys = || [&a, &b, &c].map(|witness| witness.key.clone()).to_vec();
    let two = WitnessPolicy::new(2, keys()).unwrap();
    let check = |note: &Note, policy: &WitnessPolicy| {
        let opened = Checkpoint::open(&note.to_string(), signer.verifier_key()).unwrap();
        let found = opened.cosignatures(policy)?;
        Ok(found.into_iter().map(|by| (by.witness.to_string(), by.time)).collect::<Vec<_>>())
    };
    let lacking = |actual| Err(WitnessPolicyError::Quorum { quorum: 2, actual });
    assert_eq!(check(&note, &two), lacking(0));
    let one = a.cosign(&note, 1_700_000_000);
    assert_eq!(check(&one, &two), lacking(1));
    let stranger = Witness::new("stranger.example").cosign(&one, 1_700_000_001);
    assert_eq!(check(&stranger, &two), lacking(1));
    let both = c.cosign(&stranger, 1_700_000_002);
    let expected =
        [("a.example".to_owned(), 1_700_000_000), ("c.example".to_owned(), 1_700_000_002)];
    assert_eq!(check(&both, &two), Ok(expected.to_vec()));

    // A witness that signed another text, or whose time was changed, spoils the note.
    let other = NoteSignature::parse_lines(&b.line("other\n", 1_700_000_003)).unwrap();
    let spoilt = check(&both.with_signatures(other).unwrap(), &two);
    let name = b.key.name().clone();
    assert_eq!(spoilt, Err(WitnessPolicyError::Mismatch { name }));
}

#[test]
fn a_log_key_does_not_pass_for_a_witness_nor_a_witness_for_a_log() {
    let (signer, note) = signed();
    let witness = Witness::new("witness.example");
    let cosigned = witness.cosign(&note, 5);
    assert_eq!(cosigned.verify(&witness.key), Err(NoteError::Unsigned));
    assert_eq!(cosigned.verify_cosignature(signer.verifier_key()), Err(NoteError::Unsigned));
    assert_eq!(cosigned.verify_cosignature(&witness.key), Ok(5));
    let kind = WitnessPolicy::new(1, vec![signer.verifier_key().clone()]);
    assert!(matches!(kind, Err(WitnessPolicyError::Kind { .. })));
}

#[test]
fn policies_that_demand_nothing_or_count_twice_are_refused() {
    let [a, b] = ["a.example", "b.example"].map(|name| Witness::new(name).key);
    let refused = |quorum, keys: &[&VerifierKey]| {
        WitnessPolicy::new(quorum, keys.iter().map(|key| (*key).clone()).collect()).unwrap_err()
    };
    let unsatisfiable = |quorum, witnesses| WitnessPolicyError::Unsatisfiable { quorum, witnesses };
    assert_eq!(refused(0, &[&a, &b]), unsatisfiable(0, 2));
    assert_eq!(refused(3, &[&a, &b]), unsatisfiable(3, 2));
    assert_eq!(refused(0, &[]), unsatisfiable(0, 0));
    let alias = VerifierKey::new("alias.example", a.kind(), *a.as_bytes()).unwrap();
    let namesake = VerifierKey::new("a.example", b.kind(), *b.as_bytes()).unwrap();
    for twice in [[&a, &a], [&a, &alias], [&a, &namesake]] {
        assert!(matches!(refused(2, &twice), WitnessPolicyError::Twice { .. }));
    }
}

#[test]
fn requests_to_witnesses_are_as_specified() {
    let (_, note) = signed();
    let hash = Sha256Digest::of(b"");
    let body = add_checkpoint_body(2, &[hash, hash], &note).unwrap();
    let line = STANDARD.encode(hash.as_bytes());
    assert_eq!(body, format!("old 2\n{line}\n{line}\n\n{note}"));
    assert_eq!(add_checkpoint_body(0, &[], &note).unwrap(), format!("old 0\n\n{note}"));
    assert!(add_checkpoint_body(2, &[hash; 64], &note).is_err());
}

#[test]
fn answers_of_witnesses_are_understood() {
    let (_, note) = signed();
    let witness = Witness::new("w.example");
    let line = witness.line(note.text(), 7);
    let answer = |status, body: &str| AddCheckpoint::parse(status, body.as_bytes());
    let Ok(AddCheckpoint::Cosigned(lines)) = answer(200, &line) else { panic!("not cosigned") };
    assert_eq!(note.with_signatures(lines).unwrap().verify_cosignature(&witness.key), Ok(7));
    for body in ["", "ok", "\n", line.trim_end()] {
        assert!(answer(200, body).is_err(), "{body:?}");
    }
    assert!(AddCheckpoint::parse(200, b"\xff\n").is_err());
    assert_eq!(answer(409, "42\n"), Ok(AddCheckpoint::Conflict { size: 42 }));
    for body in ["42", "042\n", "", "-1\n", "forked\n"] {
        assert_eq!(answer(409, body), Ok(AddCheckpoint::Failed { status: 409 }), "{body:?}");
    }
    assert_eq!(answer(422, "no"), Ok(AddCheckpoint::Inconsistent));
    assert_eq!(answer(403, ""), Ok(AddCheckpoint::UntrustedKey));
    assert_eq!(answer(404, ""), Ok(AddCheckpoint::UnknownLog));
    assert_eq!(answer(500, ""), Ok(AddCheckpoint::Failed { status: 500 }));
    assert!(AddCheckpoint::parse(500, &[b'a'; 70_000]).is_err());
}

proptest! {
    /// Whatever parses is written back as it was; what the log signed is what it says.
    #[test]
    fn a_changed_checkpoint_does_not_open(at: Index, byte: u8) {
        let (signer, note) = signed();
        let original = note.to_string();
        let mut bytes = original.clone().into_bytes();
        let position = at.index(bytes.len());
        bytes[position] = byte;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(parsed) = Note::parse(&changed) {
            prop_assert_eq!(parsed.to_string(), changed.clone());
        }
        if Checkpoint::open(&changed, signer.verifier_key()).is_ok() {
            prop_assert_eq!(changed, original);
        }
    }

    #[test]
    fn any_text_panics_no_parser(text in "(— |\n|\n\n|[a-z+ ]|[A-Za-z0-9+/=]{0,8}|\\PC){0,40}") {
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_string(), text.clone());
        }
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.to_text(), text.clone());
        }
        if let Ok(key) = VerifierKey::parse(&text) {
            prop_assert_eq!(key.to_string(), text.clone());
        }
        let _ = AddCheckpoint::parse(200, text.as_bytes());
    }

    #[test]
    fn checkpoints_are_read_as_they_are_written(size in 1..=i64::MAX as u64, root: [u8; 32]) {
        let checkpoint = Checkpoint::new(ORIGIN, size, Sha256Digest::from_bytes(root)).unwrap();
        prop_assert_eq!(Checkpoint::parse(&checkpoint.to_text()), Ok(checkpoint));
        prop_assert!(Checkpoint::new(ORIGIN, size, leaf_hash(b"")).is_ok());
    }
}
