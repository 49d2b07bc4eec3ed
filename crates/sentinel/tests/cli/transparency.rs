//! `sentinel serve` that sends its log to a mirror, a witness, a Rekor and a timestamp authority,
//! all of them real, and is killed meanwhile.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, NoteSigner as _, TrustedLog, TrustedRoot, VerifierKey,
};
use sentinel_testkit::{rekor, timestamp, witness};
use serde_json::Value;

use crate::serve::Deployment;
use crate::support::{Folder, Server, sentinel};

const PREDICATE: &str = sentinel_provenance::PREDICATE_TYPE;

struct Running<'a> {
    deployment: &'a Deployment,
    server: Server,
    key: &'a str,
}

impl<'a> Running<'a> {
    fn start(deployment: &'a Deployment, key: &'a str, variables: &[(&str, &str)]) -> Self {
        let mut command = sentinel(&["serve", "--config", &deployment.config]);
        command.envs(variables.iter().copied());
        let server = Server::start(command, deployment.folder.path().to_owned());
        Self { deployment, server, key }
    }

    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.server.http_with(self.key, "GET", path, "");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Signs; returns the identifier of the manifest and the artifact that it is about.
    fn sign(&self) -> (String, Vec<u8>) {
        let body = r#"{"tenant_slug":"lab","tool_name":"probe","action":"invoke","payload":"x"}"#;
        let (status, answer) = self.server.http_with(self.key, "POST", "/provenance/sign", body);
        assert_eq!(status, 201, "{answer}");
        let salt = hex::decode(answer["salt"].as_str().unwrap()).unwrap();
        (answer["manifest_id"].as_str().unwrap().to_owned(), [&salt, &b"\"x\""[..]].concat())
    }

    /// The bundle once it has everything.
    fn complete(&self, id: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let bundle = self.get(&format!("/v1/manifests/{id}/bundle"));
            let material = &bundle["verificationMaterial"];
            let note = &material["tlogEntries"][0]["inclusionProof"]["checkpoint"]["envelope"];
            let lines = note.as_str().unwrap().lines().filter(|line| line.starts_with('—'));
            if lines.count() == 2
                && material["tlogEntries"][1].is_object()
                && material["timestampVerificationData"].is_object()
            {
                return bundle;
            }
            assert!(Instant::now() < deadline, "{bundle} {}", self.server.output());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.deployment.folder.path().join(name), bytes).unwrap();
    }
}

/// What the log says its key is.
fn verifier_key(running: &Running<'_>) -> VerifierKey {
    running.server.wait_for("the key of the transparency log");
    let output = running.server.output();
    let line = output.lines().find(|line| line.contains("the key of the transparency log"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    let key = line.pointer("/fields/verifier_key").or(line.get("verifier_key")).unwrap();
    VerifierKey::parse(key.as_str().unwrap()).unwrap()
}

/// The public half of the key that signs manifests.
fn public_key(folder: &Path) -> Vec<u8> {
    let openssl = ["pkey", "-in", "key.pem", "-pubout"];
    let told = Command::new("openssl").args(openssl).current_dir(folder).output().unwrap();
    assert!(told.status.success());
    told.stdout
}

fn cosign(folder: &Path) {
    let cosign = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/cosign");
    assert!(cosign.exists(), "cosign is needed; `scripts/install.sh test` installs it");
    let told = Command::new(cosign)
        .args(["verify-blob-attestation", "--key", "signer.pub", "--use-signed-timestamps"])
        .args(["--trusted-root", "root.json", "--type", PREDICATE, "--bundle", "bundle.json"])
        .arg("artifact")
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn a_bundle_comes_to_have_everything_also_when_the_server_is_killed_meanwhile() {
    let folder = Folder::new();
    let root = folder.path().display().to_string();
    std::fs::create_dir(folder.path().join("mirror")).unwrap();
    let database = format!("database_url: sqlite://{root}/sentinel.db\nlog_origin: log.example");
    let deployment = Deployment::on(folder, &database);
    let admin = deployment.key("admin");
    let running = Running::start(&deployment, &admin, &[]);
    let register = ["tools", "register", "--tenant=lab", "--tool=probe", "--owner=l@example.com"];
    let more = ["--tool-url=https://a.example/", "--key", &admin];
    running.server.cli(&[&register[..], &more].concat()).exits(0);
    let log = verifier_key(&running);
    let early = running.sign();
    running.server.stop();

    let rekor_key = Ed25519NoteSigner::generate("rekor.example").unwrap();
    let rekor = rekor::Server::start("rekor.example", &rekor_key.to_pkcs8_pem().unwrap());
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    let trusted = TrustedLog::new(rekor_key.verifier_key().clone(), since).unwrap();
    let trusted = TrustedRoot { logs: vec![trusted] }.to_json().unwrap();
    let rekor_key = deployment.folder.file("rekor.json", str::from_utf8(&trusted).unwrap());
    let authority = timestamp::Server::start();
    let chain = deployment.folder.file("tsa.pem", &authority.chain());
    let witness = witness::Server::start(&log.to_string());
    let variables = [
        ("SENTINEL_LOG_MIRROR_URL", format!("file://{root}/mirror")),
        ("SENTINEL_LOG_WITNESSES", format!("http://{} {}", witness.address(), witness.key())),
        ("SENTINEL_LOG_WITNESS_QUORUM", "1".to_owned()),
        ("SENTINEL_REKOR_URL", rekor.url()),
        ("SENTINEL_REKOR_KEY", rekor_key),
        ("SENTINEL_TIMESTAMP_URL", authority.url()),
        ("SENTINEL_TIMESTAMP_TRUST", chain),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    for pause in [300, 1100] {
        let mut running = Running::start(&deployment, &admin, &variables);
        running.sign();
        std::thread::sleep(Duration::from_millis(pause));
        running.server.signal("KILL");
        running.server.wait();
    }
    let running = Running::start(&deployment, &admin, &variables);
    let late = running.sign();
    let mut size = 0;
    for (id, artifact) in [early, late] {
        let bundle = running.complete(&id);
        let proof = &bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        size = proof["treeSize"].as_str().unwrap().parse().unwrap();
        running.write("signer.pub", &public_key(deployment.folder.path()));
        running.write("root.json", running.get("/v1/trusted-root").to_string().as_bytes());
        running.write("bundle.json", bundle.to_string().as_bytes());
        running.write("artifact", &artifact);
        cosign(deployment.folder.path());
    }
    let mirrored = || {
        let path = deployment.folder.path().join("mirror/log.example/checkpoint");
        let note = std::fs::read_to_string(path).unwrap_or_default();
        Checkpoint::open(&note, &log).is_ok_and(|signed| signed.size() >= size)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !mirrored() {
        assert!(Instant::now() < deadline, "{}", running.server.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    let metrics = running.server.metrics(&admin);
    for outlet in ["mirror", "witnesses", "rekor", "timestamps"] {
        let lag = format!("sentinel_log_outlet_lag{{outlet=\"{outlet}\"}} ");
        assert!(metrics.contains(&lag), "no {lag}: {metrics}");
        let alarms = format!("sentinel_log_alarms_total{{outlet=\"{outlet}\"}} 0");
        assert!(metrics.contains(&alarms), "no {alarms}: {metrics}");
    }
}

/// Signs until the log has the name; returns the last manifest.
fn signed_in(running: &Running<'_>, origin: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (id, _) = running.sign();
        let bundle = running.get(&format!("/v1/manifests/{id}/bundle"));
        let proof = &bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        let note = proof["checkpoint"]["envelope"].as_str().unwrap();
        if note.starts_with(&format!("{origin}\n")) {
            return id;
        }
        assert!(Instant::now() < deadline, "{note} {}", running.server.output());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// From a key that the database keeps to another such one, to one in a file, and back.
#[test]
fn the_log_goes_on_under_another_name_and_what_was_signed_still_verifies() {
    let folder = Folder::new();
    let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
    let deployment = Deployment::on(folder, &database);
    let admin = deployment.key("admin");
    let key = Ed25519NoteSigner::generate("three.example").unwrap().to_pkcs8_pem().unwrap();
    let key = deployment.folder.file("log-key.pem", &key);
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let stages: [(&str, &[(&str, &str)]); 4] = [
        ("one.example", &[]),
        ("two.example", &[]),
        ("three.example", &[("SENTINEL_LOG_KEY_FILE", &key)]),
        ("four.example", &[("SENTINEL_LOG_PREVIOUS_KEY_FILE", &key)]),
    ];
    let mut signed = Vec::new();
    for (origin, keys) in stages {
        let variables = [&[("SENTINEL_LOG_ORIGIN", origin)], keys].concat();
        let running = Running::start(&deployment, &admin, &variables);
        if signed.is_empty() {
            let register =
                ["tools", "register", "--tenant=lab", "--tool=probe", "--owner=l@example.com"];
            let more = ["--tool-url=https://a.example/", "--key", &admin];
            running.server.cli(&[&register[..], &more].concat()).exits(0);
        }
        signed.push(signed_in(&running, origin));
        for id in &signed {
            let verified = running.get(&format!("/provenance/verify/{id}"));
            assert_eq!(verified["verified"], true, "{verified}");
        }
        let root = running.get("/v1/trusted-root");
        assert_eq!(root["tlogs"].as_array().unwrap().len(), signed.len(), "{root}");
        running.server.stop();
    }
}
