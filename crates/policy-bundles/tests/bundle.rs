//! The bundle format: what is read, what is refused, and that only a trusted key signs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sentinel_policy_bundles::{
    Algorithm, Bundle, BundleError, BundleLimits, Signing, SigningKey, Trust, VerificationKey,
};
use sentinel_testkit::keys;
use serde_json::json;
use tar::{EntryType, Header};

const ALLOW: &str = "package sentinel.policy\ndecision := {\"allow\": true}";
const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive with names as they are given, however odd.
fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, contents) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *contents).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

fn files(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> =
        entries.iter().map(|(name, text)| (*name, EntryType::Regular, text.as_bytes())).collect();
    archive(&entries)
}

fn open(bytes: &[u8]) -> Result<Bundle, BundleError> {
    Bundle::open(bytes, &BundleLimits::default(), None)
}

fn made(entries: &[(&str, &str)]) -> Bundle {
    let owned = entries.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Bundle::from_files(owned).unwrap()
}

fn trust(public: &[u8], algorithm: Option<Algorithm>, scope: Option<&str>) -> Trust {
    let keys = VerificationKey::read(public, algorithm).unwrap();
    Trust { keys, scope: scope.map(str::to_owned) }
}

fn secret_trust() -> Trust {
    trust(SECRET, Some(Algorithm::Hs256), None)
}

/// A bundle with any text as its signatures.
fn with_signatures(bundle: &Bundle, signatures: &str) -> Vec<u8> {
    let mut all: Vec<_> = bundle.files().map(|(p, c)| (p, EntryType::Regular, c)).collect();
    all.push((".signatures.json", EntryType::Regular, signatures.as_bytes()));
    archive(&all)
}

/// A token over any header and payload, by the secret.
fn token(header: &serde_json::Value, payload: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn names_as_opa_and_tar_write_them_are_the_same() {
    for prefix in ["", "/", "./"] {
        let names = [format!("{prefix}a/p.rego"), format!("{prefix}x/data.json")];
        let bundle = open(&files(&[(&names[0], ALLOW), (&names[1], "{\"k\": 1}")])).unwrap();
        let found: Vec<_> = bundle.files().map(|(path, _)| path).collect();
        assert_eq!(found, ["a/p.rego", "x/data.json"]);
        bundle.source(None).unwrap();
    }
}

#[test]
fn entries_that_lie_about_their_place_are_refused() {
    for name in [
        "../p.rego",
        "a/../p.rego",
        "//p.rego",
        "a//p.rego",
        "a/./p.rego",
        "/../p.rego",
        "a\\p.rego",
        "a\n.rego",
        "..",
        "a/",
    ] {
        let error = open(&files(&[("ok.rego", ALLOW), (name, ALLOW)])).expect_err(name);
        assert!(matches!(error, BundleError::Entry { .. }), "{name}: {error:?}");
    }
    let deep = format!("{}p.rego", "a/".repeat(17));
    assert!(matches!(open(&files(&[(&deep, ALLOW)])), Err(BundleError::Entry { .. })));
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Char] {
        let error = open(&archive(&[("p.rego", kind, b"")])).expect_err("no file");
        assert!(matches!(error, BundleError::Entry { .. }), "{error:?}");
    }
    let twice = open(&files(&[("p.rego", ALLOW), ("./p.rego", ALLOW)]));
    assert_eq!(twice.unwrap_err(), BundleError::Twice("p.rego".to_owned()));
    open(&archive(&[("a/", EntryType::Directory, b""), ("a/p.rego", EntryType::Regular, b"x")]))
        .unwrap();
}

#[test]
fn limits_hold_before_memory_is_spent() {
    let bundle = files(&[("p.rego", ALLOW), ("q.rego", ALLOW)]);
    let usual = BundleLimits::default();
    let size = bundle.len() as u64;
    for (limits, what) in [
        (BundleLimits { max_compressed: size - 1, ..usual }, "bytes"),
        (BundleLimits { max_bytes: 60, ..usual }, "bytes when unpacked"),
        (BundleLimits { max_entries: 1, ..usual }, "entries"),
        (BundleLimits { max_path: 5, ..usual }, "bytes in a path"),
    ] {
        let error = Bundle::open(&bundle, &limits, None).expect_err(what);
        assert!(matches!(error, BundleError::TooMuch { what: w, .. } if w == what), "{error:?}");
    }
    // 200 MiB of zeros, in a file and behind the end of the archive.
    let zeros = vec![0; 200 * 1024 * 1024];
    let bomb = archive(&[("data.json", EntryType::Regular, &zeros)]);
    assert!(bomb.len() < 2 * 1024 * 1024);
    assert!(matches!(open(&bomb), Err(BundleError::TooMuch { .. })));
    assert!(matches!(open(&gzip(&zeros)), Err(BundleError::TooMuch { .. })));
}

#[test]
fn cut_or_damaged_archives_are_refused() {
    let whole = files(&[("p.rego", ALLOW), ("data.json", "{\"a\": 1}")]);
    for length in 0..whole.len() {
        open(&whole[..length]).expect_err("cut off");
    }
    let mut damaged = whole.clone();
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    assert!(matches!(open(&damaged), Err(BundleError::Archive(_))));
    let mut longer = whole;
    longer.extend_from_slice(b"PK");
    assert!(open(&longer).is_err());
}

#[test]
fn what_opa_would_decide_by_and_we_cannot_read_is_refused() {
    let with = |name: &str, text: &str| open(&files(&[("p.rego", ALLOW), (name, text)]));
    assert_eq!(with("patch.json", "{\"data\": []}").unwrap_err(), BundleError::Delta);
    assert_eq!(with("a/patch.json", "{}").unwrap_err(), BundleError::Delta);
    assert_eq!(open(&files(&[("patch.json", "{\"data\": []}")])).unwrap_err(), BundleError::Delta);
    for name in
        ["policy.wasm", "a/policy.wasm", "a/.manifest", ".manifest.pb", "a/.signatures.json"]
    {
        let error = with(name, "{}").expect_err(name);
        assert!(matches!(error, BundleError::Unreadable { .. }), "{name}: {error:?}");
    }
    with("README.md", "text").unwrap();
}

#[test]
fn a_manifest_is_read_as_opa_does() {
    let with = |text: &str| open(&files(&[("p.rego", ALLOW), (".manifest", text)]));
    let revision = |text: &str| with(text).unwrap().source(None).unwrap().revision().to_string();
    assert_eq!(revision("{\"revision\": \"v7\", \"a_future_field\": 1}"), "v7");
    assert!(revision("{\"revision\": \"\", \"roots\": [\"\"]}").starts_with("sha256:"));
    let stated = with("{}").unwrap().source(Some("git:1")).unwrap();
    assert_eq!(&**stated.revision(), "git:1");
    for (text, why) in [
        ("{\"roots\": [\"a\", \"a/b\"]}", "overlap"),
        ("{\"roots\": [\"a\", \"/a/\"]}", "overlap"),
        ("{\"roots\": [\"\", \"a\"]}", "overlap"),
        ("{\"rego_version\": 2}", "must be 0 or 1"),
        ("{\"file_rego_versions\": {\"[ab].rego\": 0}}", "no patterns but"),
        ("{\"Rego_Version\": 0}", "must be written `rego_version`"),
        ("{\"rego_version\": 1, \"rego_version\": 0}", "rego_version"),
        ("{\"wasm\": [{\"module\": \"x\"}]}", "not evaluated"),
        ("{\"revision\": \"a b\"}", "graphic"),
        ("[]", "invalid"),
    ] {
        let error = with(text).expect_err(text).to_string();
        assert!(error.starts_with(".manifest: ") && error.contains(why), "{error}");
    }
    with("{\"roots\": [\"a\", \"ab\", \"b/a\"]}").unwrap();
}

#[test]
fn a_bundle_is_built_reproducibly() {
    let (a, b) = (("b.rego", ALLOW), ("a/data.json", "{}"));
    let one = made(&[a, b]).write(None).unwrap();
    assert_eq!(one, made(&[b, a]).write(None).unwrap());
    let long = format!("{}/p.rego", "n".repeat(200));
    let again = made(&[(&long, ALLOW)]).write(None).unwrap();
    assert_eq!(open(&again).unwrap().files().next().unwrap().0, long);
}

#[test]
fn every_algorithm_signs_and_verifies_and_no_other_key_does() {
    let (rsa, p256, p384, ed) = (keys::rsa(), keys::p256(), keys::p384(), keys::ed25519());
    let other = keys::rsa();
    let pair_of = |algorithm: Algorithm| match algorithm.name() {
        "ES256" => Some(&p256),
        "ES384" => Some(&p384),
        "EdDSA" => Some(&ed),
        name if name.starts_with(['R', 'P']) => Some(&rsa),
        _ => None,
    };
    let bundle =
        made(&[("p.rego", ALLOW), ("data.json", "{\"b\": 1.50, \"a\": [1e3, \"\u{2028}\"]}")]);
    for algorithm in Algorithm::ALL.into_iter().filter(|a| *a != Algorithm::Es512) {
        let (private, public) = match pair_of(algorithm) {
            Some(pair) => (pair.private.as_bytes(), pair.public.as_bytes()),
            None => (SECRET, SECRET),
        };
        let key = SigningKey::read(private, Some(algorithm)).unwrap();
        let signing = Signing { key: &key, key_id: Some("k1"), scope: Some("write") };
        let bytes = bundle.write(Some(&signing)).unwrap();
        let limits = BundleLimits::default();
        let good = trust(public, Some(algorithm), Some("write"));
        let opened = Bundle::open(&bytes, &limits, Some(&good)).unwrap();
        let signer = opened.signer().unwrap();
        assert!(signer.verified && signer.algorithm == algorithm, "{signer:?}");
        assert_eq!(signer.key_id.as_deref(), Some("k1"));
        let refused = |trust: &Trust| Bundle::open(&bytes, &limits, Some(trust)).is_err();
        assert!(refused(&trust(public, Some(algorithm), None)), "another scope");
        assert!(refused(&trust(other.public.as_bytes(), None, Some("write"))), "another key");
        assert_eq!(open(&bytes).unwrap_err(), BundleError::NoKey);
        assert!(!Bundle::inspect(&bytes, &limits).unwrap().signer().unwrap().verified);
    }
    let unsigned = bundle.write(None).unwrap();
    let error = Bundle::open(&unsigned, &BundleLimits::default(), Some(&secret_trust()));
    assert_eq!(error.unwrap_err(), BundleError::Unsigned);
}

#[test]
fn one_key_may_replace_another() {
    let (old, new) = (keys::rsa(), keys::p256());
    let both = format!("{}{}", old.public, new.public);
    let bundle = made(&[("p.rego", ALLOW)]);
    for pair in [&old, &new] {
        let key = SigningKey::read(pair.private.as_bytes(), None).unwrap();
        let signing = Signing { key: &key, key_id: None, scope: None };
        let bytes = bundle.write(Some(&signing)).unwrap();
        let trust = trust(both.as_bytes(), None, None);
        Bundle::open(&bytes, &BundleLimits::default(), Some(&trust)).unwrap();
    }
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let (rsa, p256) = (keys::rsa(), keys::p256());
    let verification = |text: &str, a| VerificationKey::read(text.as_bytes(), a).unwrap_err();
    for error in [
        verification(&rsa.private, None),
        verification(&rsa.public, Some(Algorithm::Es256)),
        verification(&p256.public, Some(Algorithm::Rs256)),
        verification("short", Some(Algorithm::Hs256)),
        verification("no pem", None),
        verification("", None),
        SigningKey::read(rsa.public.as_bytes(), None).unwrap_err(),
        SigningKey::read(rsa.private.as_bytes(), Some(Algorithm::EdDsa)).unwrap_err(),
    ] {
        assert!(!error.to_string().contains("MII"), "{error}");
    }
}

#[test]
fn a_token_that_is_signed_and_still_wrong_is_refused() {
    let bundle = made(&[("p.rego", ALLOW)]);
    let hash = |algorithm: &str| {
        json!({"name": "p.rego", "algorithm": algorithm, "hash":
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(ALLOW))})
    };
    let good = hash("SHA-256");
    let verify = |signatures: &str| {
        let bytes = with_signatures(&bundle, signatures);
        Bundle::open(&bytes, &BundleLimits::default(), Some(&secret_trust()))
    };
    let one = |header: serde_json::Value, payload: serde_json::Value| {
        verify(&json!({"signatures": [token(&header, &payload)]}).to_string())
    };
    let hs = json!({"alg": "HS256"});
    one(hs.clone(), json!({"files": [good]})).unwrap();
    let twice = json!({"name": "/p.rego", "algorithm": "SHA-256", "hash": good["hash"]});
    for (header, payload) in [
        (json!({"alg": "none"}), json!({"files": [good]})),
        (json!({"alg": "HS512"}), json!({"files": [good]})),
        (json!({"alg": "RS256"}), json!({"files": [good]})),
        (json!({"alg": "HS256", "crit": ["b64"]}), json!({"files": [good]})),
        (hs.clone(), json!({"files": []})),
        (hs.clone(), json!({"files": [good, twice]})),
        (hs.clone(), json!({"files": [good, {"name": "q", "hash": "00", "algorithm": "SHA-256"}]})),
        (hs.clone(), json!({"files": [hash("MD5")]})),
        (hs.clone(), json!({"files": [hash("SHA-512")]})),
        (hs.clone(), json!({"files": [good], "scope": "other"})),
        (hs.clone(), json!({})),
    ] {
        assert!(one(header.clone(), payload.clone()).is_err(), "{header} {payload}");
    }
    let valid = token(&hs, &json!({"files": [good]}));
    for signatures in [
        json!({"signatures": []}),
        json!({"signatures": [valid, valid]}),
        json!({"signatures": [valid], "plugin": "custom"}),
        json!({"signatures": [valid.rsplit_once('.').unwrap().0]}),
        json!({"signatures": [format!("{}.", valid.rsplit_once('.').unwrap().0)]}),
        json!({"signatures": [format!("{valid}=")]}),
    ] {
        assert!(verify(&signatures.to_string()).is_err(), "{signatures}");
    }
    verify(&json!({"signatures": [valid], "plugin": "_default"}).to_string()).unwrap();
}

#[test]
fn no_change_of_a_signed_bundle_goes_unnoticed() {
    let key = SigningKey::read(SECRET, Some(Algorithm::Hs256)).unwrap();
    let signing = Signing { key: &key, key_id: None, scope: None };
    let base = [("p.rego", ALLOW), ("data.json", "{\"a\": 1, \"b\": 2}"), (".manifest", "{}")];
    let signed = made(&base).write(Some(&signing)).unwrap();
    let inner = read_all(&signed);
    let signatures = inner.iter().find(|(name, _)| name == ".signatures.json").unwrap().1.clone();
    let verify = |entries: &[(&str, &str)]| {
        let bundle = made(entries);
        let bytes = with_signatures(&bundle, &signatures);
        Bundle::open(&bytes, &BundleLimits::default(), Some(&secret_trust()))
    };
    verify(&base).unwrap();
    // The value counts, not how it is written.
    verify(&[base[0], ("data.json", " {\"b\":2,\n\"a\":1}"), base[2]]).unwrap();
    for changed in [
        vec![base[0], base[1]],
        vec![base[0], base[1], base[2], ("README.md", "")],
        vec![base[0], ("data.json", "{\"a\": 1.0, \"b\": 2}"), base[2]],
        vec![base[0], ("data.json", "{\"a\": 1, \"b\": 2, \"b\": 2}"), base[2]],
        vec![
            ("p.rego", "package sentinel.policy\ndecision := {\"allow\": true} "),
            base[1],
            base[2],
        ],
        vec![("q.rego", ALLOW), base[1], base[2]],
        vec![base[0], base[1], (".manifest", "{\"revision\": \"9\"}")],
    ] {
        assert!(verify(&changed).is_err(), "{changed:?}");
    }
}

fn read_all(bytes: &[u8]) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        (name, std::io::read_to_string(&mut entry).unwrap())
    };
    tar.entries().unwrap().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = open(&bytes);
        let _ = open(&gzip(&bytes));
        let _ = VerificationKey::read(&bytes, None);
    }

    #[test]
    fn any_token_is_read_or_refused(
        text in "\\PC{0,60}", parts in prop::collection::vec("[A-Za-z0-9_.-]{0,40}", 0..4),
    ) {
        let bundle = made(&[("p.rego", ALLOW)]);
        let token = format!("{text}{}", parts.join("."));
        let bytes = with_signatures(&bundle, &json!({"signatures": [token]}).to_string());
        prop_assert!(Bundle::open(&bytes, &BundleLimits::default(), Some(&secret_trust())).is_err());
    }

    #[test]
    fn what_is_written_is_read_back_and_no_byte_may_change(
        names in prop::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8}){0,3}", prop::collection::vec(any::<u8>(), 0..64), 1..5),
        flip in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let files = names.into_iter();
        let bundle = Bundle::from_files(files.chain([("p.rego".to_owned(), ALLOW.into())])).unwrap();
        let key = SigningKey::read(SECRET, Some(Algorithm::Hs256)).unwrap();
        let signed = bundle.write(Some(&Signing { key: &key, key_id: None, scope: None })).unwrap();
        let limits = BundleLimits::default();
        let read = Bundle::open(&signed, &limits, Some(&secret_trust())).unwrap();
        prop_assert!(read.files().eq(bundle.files()));
        let mut changed = signed;
        let at = flip.index(changed.len());
        changed[at] ^= 1 << bit;
        // What gzip and tar say of times and owners is not signed; files are.
        if let Ok(read) = Bundle::open(&changed, &limits, Some(&secret_trust())) {
            prop_assert!(read.files().eq(bundle.files()));
        }
    }

    #[test]
    fn a_changed_archive_is_read_or_refused_and_stays_within_itself(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        use std::io::Read as _;
        let sound = files(&[("/p.rego", ALLOW), ("/a/data.json", "{}"), ("/.manifest", "{}")]);
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(sound.as_slice()).read_to_end(&mut tar).unwrap();
        for (index, byte) in edits {
            // Headers and contents; the rest is padding.
            let at = index.index(tar.len().min(3 * 1024));
            tar[at] = byte;
        }
        // The sum of each header is corrected, so that what it says is looked at.
        for header in tar.chunks_exact_mut(512).step_by(2).take(3) {
            let mut fixed = Header::new_old();
            fixed.as_mut_bytes().copy_from_slice(header);
            fixed.set_cksum();
            header.copy_from_slice(fixed.as_bytes());
        }
        let Ok(bundle) = open(&gzip(&tar)) else { return Ok(()) };
        for (path, _) in bundle.files() {
            prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
        }
        let _ = bundle.source(None);
        let written = bundle.write(None).unwrap();
        let again = open(&written).unwrap();
        prop_assert!(again.files().eq(bundle.files()));
    }
}
