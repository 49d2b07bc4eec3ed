//! The full audit of a log: whatever is planted is found, and nothing else is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use sentinel_provenance::log::{
    Audit, AuditReport, AuditState, Expectations, Finding, HashedRekord, LogFile, NoteSigner as _,
    PolicyFileError, ReadFile, Revoked, Tile, TilePath, WitnessPolicy, encode_entries, log_files,
    parse_entries,
};
use sentinel_provenance::{Bundle, EcdsaP256Signer, Envelope, Signer as _};
use serde_json::Value;

use crate::log_note::Witness;
use crate::memory_log::MemoryLog;

const SIZE: u64 = 300;

/// A log of signed entries, its files, and a bundle of one of them.
struct Logged {
    log: MemoryLog,
    signer: EcdsaP256Signer,
    leaves: Vec<Vec<u8>>,
    files: BTreeMap<TilePath, Vec<u8>>,
    checkpoint: String,
    /// The checkpoint at 100 entries.
    earlier: String,
    /// Proves entry 41.
    bundle: Vec<u8>,
}

fn envelope(n: u64, signer: &EcdsaP256Signer) -> Envelope {
    Envelope::sign(format!(r#"{{"n":{n}}}"#).into_bytes(), signer).unwrap()
}

fn leaf(n: u64, signer: &EcdsaP256Signer) -> Vec<u8> {
    HashedRekord::of(&envelope(n, signer), signer.public_key()).to_bytes()
}

static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let signer = EcdsaP256Signer::generate().unwrap();
    let mut log = MemoryLog::new();
    let proven = envelope(41, &signer);
    let mut leaves: Vec<_> = (0..SIZE).map(|n| leaf(n, &signer)).collect();
    let record = HashedRekord::of(&proven, signer.public_key());
    leaves[41] = record.to_bytes();
    log.append(&leaves[..100]);
    let earlier = log.checkpoint().to_string();
    log.append(&leaves[100..]);
    let checkpoint = log.checkpoint();
    let entry = log.entry(&record, 41, &checkpoint);
    let bundle = Bundle::new(proven, signer.public_key()).unwrap().with_log_entry(entry).unwrap();
    let files = files_of(&log, &leaves);
    Logged {
        bundle: bundle.to_json().unwrap(),
        checkpoint: checkpoint.to_string(),
        log,
        signer,
        leaves,
        files,
        earlier,
    }
});

fn files_of(log: &MemoryLog, leaves: &[Vec<u8>]) -> BTreeMap<TilePath, Vec<u8>> {
    let content = |path: TilePath| match path {
        TilePath::Hashes(tile) => Tile::write_hashes(&log.tiles[&tile]),
        TilePath::Entries(tile) => {
            let first = usize::try_from(tile.index()).unwrap() * 256;
            encode_entries(&leaves[first..first + usize::from(tile.width())]).unwrap()
        }
    };
    log_files(log.frontier.size()).map(|path| (path, content(path))).collect()
}

fn files_with(leaves: &[Vec<u8>]) -> (MemoryLog, BTreeMap<TilePath, Vec<u8>>) {
    let mut log = LOGGED.log.started_over();
    log.append(leaves);
    let files = files_of(&log, leaves);
    (log, files)
}

fn audit(
    checkpoint: &str,
    files: &BTreeMap<TilePath, Vec<u8>>,
    expected: Expectations,
) -> AuditReport {
    let key = LOGGED.log.signer.verifier_key();
    let mut audit = Audit::begin(checkpoint, key, expected).unwrap();
    for path in log_files(audit.size()) {
        audit.take(match files.get(&path) {
            // What is as it was need not be verified again.
            Some(bytes) if LOGGED.files.get(&path) == Some(bytes) => READ[&path].clone(),
            Some(bytes) => ReadFile::of(path, &LogFile::Found(bytes.clone())),
            None => ReadFile::of(path, &LogFile::Absent),
        });
    }
    audit.finish()
}

static READ: LazyLock<BTreeMap<TilePath, ReadFile>> = LazyLock::new(|| {
    let read = |(path, bytes): (&TilePath, &Vec<u8>)| {
        (*path, ReadFile::of(*path, &LogFile::Found(bytes.clone())))
    };
    LOGGED.files.iter().map(read).collect()
});

fn kept(notes: &[&str], bundles: &[&[u8]]) -> Expectations {
    let key = LOGGED.log.signer.verifier_key();
    let mut expected = Expectations::default();
    for note in notes {
        expected.retain(note, key, "kept").unwrap();
    }
    for bundle in bundles {
        expected.keep_bundle(bundle, key, "bundle.json");
    }
    expected
}

#[track_caller]
fn first(report: &AuditReport, code: &str, message: &str) {
    let found = report.findings.first().expect("nothing was found");
    assert_eq!((found.code(), found.to_string().as_str()), (code, message), "{report:?}");
}

#[test]
fn a_log_that_is_as_it_was_signed_is_sound() {
    let it = &*LOGGED;
    let expected = kept(&[&it.earlier, &it.checkpoint], &[&it.bundle]);
    let report = audit(&it.checkpoint, &it.files, expected);
    assert!(report.sound(), "{:?}", report.findings);
    let by_key: Vec<_> = report.signers.into_iter().collect();
    assert_eq!(by_key, [(it.signer.public_key().hint().to_owned(), SIZE)]);
    assert_eq!((report.retained, report.entries), (3, 1));
}

#[test]
fn tiles_that_grew_since_the_checkpoint_are_read() {
    let it = &*LOGGED;
    let key = it.log.signer.verifier_key();
    let mut audit = Audit::begin(&it.earlier, key, Expectations::default()).unwrap();
    for path in log_files(100) {
        let full = match path {
            TilePath::Hashes(tile) => TilePath::parse(&format!("tile/{}/000", tile.level())),
            TilePath::Entries(_) => TilePath::parse("tile/entries/000"),
        };
        audit.take(ReadFile::of(path, &LogFile::Grown(it.files[&full.unwrap()].clone())));
    }
    let report = audit.finish();
    assert!(report.sound(), "{:?}", report.findings);
}

#[test]
fn sizes_around_full_tiles_are_audited() {
    for size in [0, 1, 255, 256, 257] {
        let leaves = &LOGGED.leaves[..size];
        let (log, files) = files_with(leaves);
        let report = audit(&log.checkpoint().to_string(), &files, Expectations::default());
        assert!(report.sound(), "{size}: {:?}", report.findings);
    }
}

#[test]
fn files_are_listed_as_the_specification_has_them() {
    let count = |size: u64| log_files(size).count();
    // Entry bundles, and tiles of 274, 2 and 1 hashes.
    assert_eq!(count(70_000), 274 + 274 + 2 + 1);
    assert_eq!(count(65_536), 256 + 256 + 1 + 1);
    assert_eq!(count(0), 0);
    let unique: std::collections::BTreeSet<_> = log_files(70_000).collect();
    assert_eq!(unique.len(), count(70_000));
}

#[test]
fn a_missing_file_is_named() {
    let it = &*LOGGED;
    for path in it.files.keys() {
        let mut files = it.files.clone();
        files.remove(path);
        let report = audit(&it.checkpoint, &files, Expectations::default());
        first(&report, "file_missing", &format!("`{path}` is missing"));
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    }
}

#[test]
fn a_rewritten_entry_is_named_by_its_tile() {
    let it = &*LOGGED;
    let mut leaves = it.leaves.clone();
    leaves[41] = leaf(1000, &it.signer);
    let mut files = it.files.clone();
    files.extend(
        files_of(&it.log, &leaves)
            .into_iter()
            .filter(|(path, _)| matches!(path, TilePath::Entries(_))),
    );
    let report = audit(&it.checkpoint, &files, Expectations::default());
    first(&report, "tile_mismatch", "`tile/0/000` does not have the hash of entry 41");
}

#[test]
fn a_rewrite_with_its_tiles_is_narrowed_down_by_what_was_kept() {
    let it = &*LOGGED;
    let mut leaves = it.leaves.clone();
    leaves[141] = leaf(1000, &it.signer);
    let (_, files) = files_with(&leaves);
    let report = audit(&it.checkpoint, &files, kept(&[&it.earlier], &[]));
    assert_eq!(report.findings.len(), 1);
    let message = report.findings[0].to_string();
    assert_eq!(report.findings[0].code(), "root_mismatch");
    assert!(message.ends_with("; the first 100 are as they were signed"), "{message}");

    leaves[141].clone_from(&it.leaves[141]);
    leaves[41] = leaf(1000, &it.signer);
    let (_, files) = files_with(&leaves);
    let report = audit(&it.checkpoint, &files, kept(&[&it.earlier], &[&it.bundle]));
    let messages: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(messages[0], "entry 41 is not the one that bundle `bundle.json` proves");
    assert!(messages[1].ends_with("; a change is among the first 100"), "{messages:?}");
}

#[test]
fn a_signed_rewrite_is_a_fork_with_evidence() {
    let it = &*LOGGED;
    let mut leaves = it.leaves.clone();
    leaves[41] = leaf(1000, &it.signer);
    let (log, files) = files_with(&leaves);
    let forked = log.checkpoint().to_string();
    // Nothing shows it to who kept nothing.
    assert!(audit(&forked, &files, Expectations::default()).sound());
    for note in [&it.earlier, &it.checkpoint] {
        let report = audit(&forked, &files, kept(&[note], &[]));
        first(
            &report,
            "fork",
            "`kept` and `checkpoint` are signed by the log and contradict each other",
        );
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let evidence = report.findings[0].evidence().unwrap();
        assert!(evidence.contains(note.as_str()) && evidence.contains(&forked), "{evidence}");
    }
    let report = audit(&forked, &files, kept(&[], &[&it.bundle]));
    assert_eq!(report.findings[0].code(), "fork");
    assert_eq!(report.findings[1].code(), "entry_rewritten");
}

#[test]
fn an_earlier_state_is_a_rollback() {
    let it = &*LOGGED;
    let (_, files) = files_with(&it.leaves[..100]);
    assert!(audit(&it.earlier, &files, Expectations::default()).sound());
    let report = audit(&it.earlier, &files, kept(&[&it.checkpoint], &[]));
    first(&report, "rollback", "log was rolled back: it has 100 entries, `kept` has 300");
    assert!(report.findings[0].evidence().unwrap().contains(&it.checkpoint));
}

#[test]
fn an_entry_that_is_in_the_log_twice_or_unsound_is_named() {
    let it = &*LOGGED;
    let mut leaves = it.leaves.clone();
    leaves[270] = leaves[3].clone();
    // The same statement, signed again.
    leaves[271] = leaf(4, &it.signer);
    let mut broken = HashedRekord::parse(&leaves[272]).unwrap().to_bytes();
    let at = broken.windows(8).position(|text| text == b"\"digest\"").unwrap() + 12;
    broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
    leaves[272] = broken;
    leaves[273] = b"{}".to_vec();
    let (log, files) = files_with(&leaves);
    let report = audit(&log.checkpoint().to_string(), &files, Expectations::default());
    let messages: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    let mut expected = vec![
        "entry 272: signature does not match".to_owned(),
        report.findings[1].to_string(),
        "entry 270 is about the same statement as entry 3".to_owned(),
        "entry 271 is about the same statement as entry 4".to_owned(),
    ];
    assert!(matches!(report.findings[1], Finding::Leaf { index: 273, .. }));
    let mut found = messages;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn entries_of_a_revoked_key_are_named_from_its_revocation_on() {
    let it = &*LOGGED;
    let key = it.signer.public_key().hint().to_owned();
    let mut expected = Expectations::default();
    expected.revoked = vec![Revoked { key: key.clone(), since: SIZE - 1 }];
    let report = audit(&it.checkpoint, &it.files, expected);
    let message = format!("entry 299 is signed by `{key}`, revoked from entry 299 on");
    first(&report, "key_revoked", &message);
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn too_few_witnesses_are_reported() {
    let it = &*LOGGED;
    let witness = Witness::new("witness.example");
    let policy = format!("witness w {}\nquorum w\n", witness.key);
    let expected = || {
        let mut expected = Expectations::default();
        expected.witnesses = Some(WitnessPolicy::parse(&policy).unwrap());
        expected
    };
    let report = audit(&it.checkpoint, &it.files, expected());
    first(&report, "witness", "checkpoint: cosigned by 0 witnesses, the quorum is 1");
    let cosigned = witness.cosign(&it.log.checkpoint(), 1_700_000_000).to_string();
    assert!(audit(&cosigned, &it.files, expected()).sound());
}

#[test]
fn a_list_of_findings_is_bounded() {
    let it = &*LOGGED;
    let leaves: Vec<_> = (0..200).map(|n| format!("leaf {n}").into_bytes()).collect();
    let (log, files) = files_with(&leaves);
    let expected = kept(&[&it.earlier], &[]);
    let report = audit(&log.checkpoint().to_string(), &files, expected);
    // The gravest is never left out.
    assert_eq!(report.findings[0].code(), "fork");
    assert_eq!((report.findings.len(), report.omitted), (101, 100));
}

#[test]
fn policy_files_are_those_of_c2sp_with_one_group() {
    let (a, b) = (Witness::new("a.example").key, Witness::new("b.example").key);
    let parse = |text: &str| {
        let text = text.replace("<a>", &a.to_string()).replace("<b>", &b.to_string());
        WitnessPolicy::parse(&text)
    };
    let witnesses = "# comment\n\n\twitness a <a> https://a.example\nwitness b <b>\n";
    for (group, quorum) in [("any", 1), ("all", 2), ("2", 2)] {
        let policy = parse(&format!("{witnesses}group g {group} a b\nquorum g")).unwrap();
        assert_eq!((policy.quorum(), policy.witnesses().len()), (quorum, 2));
    }
    assert_eq!(
        parse(&format!("{witnesses}quorum b")).unwrap().witnesses(),
        std::slice::from_ref(&b)
    );
    let refused = |text: &str| parse(&format!("{witnesses}{text}")).unwrap_err();
    assert_eq!(refused(""), PolicyFileError::Quorum);
    assert_eq!(refused("quorum a\nquorum a"), PolicyFileError::Quorum);
    assert_eq!(refused("quorum none"), PolicyFileError::NoWitness);
    assert_eq!(refused("quorum c"), PolicyFileError::Name { line: 5 });
    assert_eq!(refused("witness a <a>"), PolicyFileError::Name { line: 5 });
    assert_eq!(refused("witness c nokey").to_string().split(':').next(), Some("line 5"));
    assert_eq!(refused("group g 1 a\ngroup h 1 g"), PolicyFileError::Name { line: 6 });
    for text in ["group g 3 a b", "group g 0 a", "group g 1", "group g 2 a a"] {
        assert!(matches!(refused(text), PolicyFileError::Policy(_)), "{text}");
    }
    for text in ["quorum", "group", "hello", "quorum\u{a0}a"] {
        assert_eq!(refused(text), PolicyFileError::Line { line: 5 }, "{text}");
    }
}

#[test]
fn a_state_file_holds_one_checkpoint_of_each_log() {
    let it = &*LOGGED;
    let mut state = AuditState::default();
    assert_eq!(AuditState::parse(&state.to_json().unwrap()), Ok(state.clone()));
    let key = it.log.signer.verifier_key();
    for note in [&it.earlier, &it.checkpoint] {
        state.keep(&sentinel_provenance::log::Checkpoint::open(note, key).unwrap());
    }
    let read = AuditState::parse(&state.to_json().unwrap()).unwrap();
    assert_eq!(read.note("log.example"), Some(it.checkpoint.as_str()));
    let twice = serde_json::json!({"version": 1, "checkpoints": [it.earlier, it.checkpoint]});
    for text in ["", "{}", r#"{"version":2,"checkpoints":[]}"#, &twice.to_string()] {
        assert!(AuditState::parse(text.as_bytes()).is_err(), "{text}");
    }
}

/// The places of a bundle that something is signed or hashed over.
const AUTHENTICATED: [&str; 7] = [
    "/dsseEnvelope/payload",
    "/dsseEnvelope/signatures/0/sig",
    "/verificationMaterial/tlogEntries/0/canonicalizedBody",
    "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash",
    "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0",
    "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/8",
    "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn flipping_any_byte_of_any_file_is_found(which: Index, at: Index, mask in 1u8..) {
        let it = &*LOGGED;
        let mut files = it.files.clone();
        let path = *which.get(&files.keys().copied().collect::<Vec<_>>());
        let bytes = files.get_mut(&path).unwrap();
        let position = at.index(bytes.len());
        bytes[position] ^= mask;
        prop_assert!(!audit(&it.checkpoint, &files, Expectations::default()).sound());
    }

    #[test]
    fn flipping_any_byte_of_the_checkpoint_is_found(at: Index, mask in 1u8..) {
        let it = &*LOGGED;
        let mut bytes = it.checkpoint.clone().into_bytes();
        let position = at.index(bytes.len());
        bytes[position] ^= mask;
        let key = it.log.signer.verifier_key();
        let note = String::from_utf8_lossy(&bytes);
        prop_assert!(Audit::begin(&note, key, Expectations::default()).is_err());
        prop_assert!(Expectations::default().retain(&note, key, "kept").is_err());
    }

    #[test]
    fn flipping_any_byte_of_a_kept_bundle_is_found(which: Index, at: Index, mask in 1u8..) {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let it = &*LOGGED;
        let path = *which.get(&AUTHENTICATED);
        let mut document: Value = serde_json::from_slice(&it.bundle).unwrap();
        let field = document.pointer_mut(path).unwrap();
        let text = field.as_str().unwrap().to_owned();
        *field = if path.ends_with("envelope") {
            let mut bytes = text.into_bytes();
            let position = at.index(bytes.len());
            bytes[position] ^= mask;
            String::from_utf8_lossy(&bytes).into()
        } else {
            let mut bytes = STANDARD.decode(text).unwrap();
            let position = at.index(bytes.len());
            bytes[position] ^= mask;
            STANDARD.encode(bytes).into()
        };
        let report =
            audit(&it.checkpoint, &it.files, kept(&[], &[document.to_string().as_bytes()]));
        prop_assert_eq!(report.findings.first().map(Finding::code), Some("bundle_unsound"));
    }

    #[test]
    fn removing_inserting_or_swapping_entries_is_found(one: Index, other: Index, kind in 0..3) {
        let it = &*LOGGED;
        let path = TilePath::parse("tile/entries/000").unwrap();
        let mut entries: Vec<_> =
            parse_entries(&it.files[&path], 256).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        let (one, other) = (one.index(256), other.index(256));
        prop_assume!(one != other);
        match kind {
            0 => drop(entries.remove(one)),
            1 => entries.insert(one, leaf(2000, &it.signer)),
            _ => entries.swap(one, other),
        }
        let mut files = it.files.clone();
        files.insert(path, encode_entries(&entries).unwrap());
        prop_assert!(!audit(&it.checkpoint, &files, Expectations::default()).sound());
    }

    #[test]
    fn no_bytes_panic_the_readers(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = WitnessPolicy::parse(&text);
        let _ = AuditState::parse(&bytes);
        kept(&[], &[&bytes]);
        for path in log_files(300) {
            let _ = ReadFile::of(path, &LogFile::Found(bytes.clone()));
            let _ = ReadFile::of(path, &LogFile::Grown(bytes.clone()));
        }
    }
}
