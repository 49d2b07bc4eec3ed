//! Bundles between us and the real OPA, in both directions: each takes what the other has built and
//! signed, and neither takes what was changed afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sentinel_policy::{EmbeddedConfig, EmbeddedEngine};
use sentinel_policy_analysis::Vetted;
use sentinel_policy_bundles::{
    Algorithm, Bundle, BundleError, BundleLimits, Signing, SigningKey, SupplyError, Trust,
    VerificationKey,
};
use sentinel_testkit::{keys, opa};
use serde_json::Value;

const RULES: &str = "package sentinel.policy

default allow := false

allow if data.tools[input.tenant][input.tool]
";
const DATA: &str = r#"{"demo": {"search": true, "n": [1.50, 1e3, -0.0, 9007199254740993],
 "text": "a\u2028\u0001\u007f<&>\"é"}, "": {}, "b": [], "B": null}"#;
const YAML: &str =
    "limits:\n  small: 0.5\n  large: 1.0e+22\n  count: 3\n  off: false\n  text: \"x\"\n";
const MANIFEST: &str = r#"{"revision": "v1.2.3", "roots": ["sentinel", "tools", "more"],
 "metadata": {"by": "test", "n": 1.0}}"#;

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }.with(&[
            ("src/sentinel/policy.rego", RULES),
            ("src/tools/data.json", DATA),
            ("src/more/data.yaml", YAML),
            ("src/.manifest", MANIFEST),
        ])
    }

    fn with(self, files: &[(&str, &str)]) -> Self {
        for (name, text) in files {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Runs OPA in the folder; what it prints, when it succeeds.
    fn opa(&self, args: &[&str]) -> Result<String, String> {
        let output = opa::command().args(args).current_dir(self.dir.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        output.status.success().then_some(text).ok_or(error)
    }

    /// What OPA decides by a bundle that it runs and has verified.
    fn decide(&self, bundle: &str, key: &str, algorithm: &str) -> Result<Value, String> {
        let key = format!("--verification-key={key}");
        let algorithm = format!("--signing-alg={algorithm}");
        let question = "data.sentinel.policy.allow with input as \
            {\"tenant\": \"demo\", \"tool\": \"search\"}\n";
        let mut opa = opa::command()
            .args(["run", "--skip-version-check", "-b", bundle, &key, &algorithm])
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses the bundle reads nothing.
        drop(opa.stdin.take().unwrap().write_all(question.as_bytes()));
        let output = opa.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            return Err(text);
        }
        Ok(serde_json::from_str(text.lines().last().unwrap()).unwrap())
    }

    fn source(&self) -> Bundle {
        let read = |name: &str| {
            let path = name.to_owned();
            (path, std::fs::read(self.path("src").join(name)).unwrap())
        };
        let names = ["sentinel/policy.rego", "tools/data.json", "more/data.yaml", ".manifest"];
        Bundle::from_files(names.map(read)).unwrap()
    }
}

fn trust(public: &str, algorithm: &str) -> Trust {
    let algorithm: Algorithm = algorithm.parse().unwrap();
    Trust { keys: VerificationKey::read(public.as_bytes(), Some(algorithm)).unwrap(), scope: None }
}

fn open(path: &Path, trust: Option<&Trust>) -> Result<Bundle, BundleError> {
    Bundle::open(&std::fs::read(path).unwrap(), &BundleLimits::default(), trust)
}

fn pairs() -> Vec<(&'static str, String, String)> {
    let (rsa, p256, p384, ed) = (keys::rsa(), keys::p256(), keys::p384(), keys::ed25519());
    let secret = "a secret of thirty-two bytes, ok".to_owned();
    vec![
        ("RS256", rsa.private.clone(), rsa.public.clone()),
        ("RS512", rsa.private.clone(), rsa.public.clone()),
        ("PS256", rsa.private, rsa.public),
        ("ES256", p256.private, p256.public),
        ("ES384", p384.private, p384.public),
        ("EdDSA", ed.private, ed.public),
        ("HS256", secret.clone(), secret),
    ]
}

#[test]
fn opa_takes_what_we_build_and_sign_and_refuses_it_changed() {
    for (algorithm, private, public) in pairs() {
        let folder = Folder::new();
        folder.write("key.pub", public.as_bytes());
        let key = SigningKey::read(private.as_bytes(), Some(algorithm.parse().unwrap())).unwrap();
        let signing = Signing { key: &key, key_id: None, scope: None };
        let bundle = folder.source();
        folder.write("bundle.tar.gz", &bundle.write(Some(&signing)).unwrap());
        let decided = folder.decide("bundle.tar.gz", "key.pub", algorithm);
        assert_eq!(decided, Ok(Value::Bool(true)), "{algorithm}");
        let shown = folder.opa(&["inspect", "-f", "json", "bundle.tar.gz"]).unwrap();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["manifest"]["revision"], "v1.2.3");

        // The signatures of the one with the files of another.
        let files = bundle.files().map(|(path, contents)| {
            let text = String::from_utf8_lossy(contents)
                .replace("default allow := false", "default allow := true");
            (path.to_owned(), text.into_bytes())
        });
        let signed = std::fs::read(folder.path("bundle.tar.gz")).unwrap();
        let tampered = graft(&signed, files.collect());
        let path = folder.write("tampered.tar.gz", &tampered);
        let refused = folder.decide("tampered.tar.gz", "key.pub", algorithm).unwrap_err();
        assert!(refused.contains("digest mismatch"), "{refused}");
        let refused = open(&path, Some(&trust(&public, algorithm))).unwrap_err();
        assert!(refused.to_string().contains("`sentinel/policy.rego` was changed"), "{refused}");
    }
}

/// A bundle of these files with the signatures of another.
fn graft(signed: &[u8], mut files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(signed));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with(".signatures.json") {
            let text = std::io::read_to_string(&mut entry).unwrap();
            files.push((".signatures.json".to_owned(), text.into_bytes()));
        }
    }
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, contents.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn we_take_what_opa_builds_and_signs() {
    for (algorithm, private, public) in pairs() {
        let folder = Folder::new();
        folder.write("key.pem", private.as_bytes());
        folder.write("key.pub", public.as_bytes());
        let sign = format!("--signing-alg={algorithm}");
        folder.opa(&["build", "-b", "src", "--signing-key=key.pem", &sign]).unwrap();
        let built = folder.path("bundle.tar.gz");
        let bundle = open(&built, Some(&trust(&public, algorithm))).unwrap();
        assert!(bundle.signer().unwrap().verified, "{algorithm}");
        let source = bundle.source(None).unwrap();
        assert_eq!(&**source.revision(), "v1.2.3");
        assert_eq!(open(&built, None).unwrap_err(), BundleError::NoKey);

        // `opa sign`, whose files are hashed as they are, YAML among them.
        let args = ["sign", "-b", ".", "--signing-key=../key.pem", &sign, "-o", "."];
        let signed = opa::command().args(args).current_dir(folder.path("src")).status();
        assert!(signed.unwrap().success(), "{algorithm}");
        let packed = std::process::Command::new("tar")
            .args(["-C", "src", "-czf", "signed.tar.gz", "."])
            .current_dir(folder.dir.path())
            .status();
        assert!(packed.unwrap().success());
        let bundle = open(&folder.path("signed.tar.gz"), Some(&trust(&public, algorithm))).unwrap();
        assert_eq!(bundle.files().count(), 4, "{algorithm}");
    }
}

#[test]
fn unsigned_and_wrongly_signed_bundles_are_refused_by_both() {
    let folder = Folder::new();
    let (good, other) = (keys::rsa(), keys::rsa());
    folder.write("key.pub", good.public.as_bytes());
    let unsigned = folder.write("unsigned.tar.gz", &folder.source().write(None).unwrap());
    let key = SigningKey::read(other.private.as_bytes(), None).unwrap();
    let signing = Signing { key: &key, key_id: None, scope: None };
    let foreign = folder.write("foreign.tar.gz", &folder.source().write(Some(&signing)).unwrap());
    let trust = trust(&good.public, "RS256");
    for path in [unsigned, foreign] {
        folder.decide(path.to_str().unwrap(), "key.pub", "RS256").unwrap_err();
        open(&path, Some(&trust)).unwrap_err();
    }
}

#[test]
fn opa_and_we_refuse_the_same_roots() {
    for (manifest, file) in [
        (r#"{"roots": ["sentinel"]}"#, "tools/data.json"),
        (r#"{"roots": ["tools", "more"]}"#, "sentinel/policy.rego"),
        (r#"{"roots": ["sentinel", "sentinel/policy", "tools", "more"]}"#, ".manifest"),
    ] {
        let folder = Folder::new().with(&[("src/.manifest", manifest)]);
        assert!(folder.opa(&["build", "-b", "src"]).is_err(), "{manifest} {file}");
        let files = ["sentinel/policy.rego", "tools/data.json", "more/data.yaml", ".manifest"];
        let files = files
            .map(|name| (name.to_owned(), std::fs::read(folder.path("src").join(name)).unwrap()));
        let loaded = Bundle::from_files(files).map_err(SupplyError::from).and_then(|bundle| {
            let policy = Vetted::trusted(bundle.source(None)?);
            let engine = EmbeddedEngine::new(EmbeddedConfig::default());
            Ok(engine.install(&policy, "2026-11-24T00:00:00Z".parse().unwrap())?)
        });
        assert!(loaded.is_err(), "{manifest} {file}");
    }
}
