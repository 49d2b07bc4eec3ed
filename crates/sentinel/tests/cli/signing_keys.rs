//! Keys from files, variables and services, in the real binary.

use std::process::Command;

use sentinel_testkit::key_services::{Fault, StandInAwsKms, StandInVault};
use serde_json::Value;

use crate::serve::Deployment;
use crate::support::{Folder, Ran, Server, sentinel};

/// A deployment whose signing key the variables name.
struct Keyed {
    deployment: Deployment,
    variables: Vec<(String, String)>,
}

impl Keyed {
    fn new(variables: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
        let deployment = Deployment::on(folder, &database);
        let text = std::fs::read_to_string(&deployment.config).unwrap();
        let without: Vec<_> = text.lines().filter(|line| !line.contains("_key_file")).collect();
        std::fs::write(&deployment.config, without.join("\n")).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { deployment, variables: variables.iter().map(owned).collect() }
    }

    fn command(&self, command: &str) -> Command {
        let mut command = sentinel(&[command, "--json", "--config", &self.deployment.config]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, command: &str) -> Ran {
        self.command(command).output().unwrap().into()
    }

    fn serve(&self) -> Server {
        let mut command = sentinel(&["serve", "--config", &self.deployment.config]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Server::start(command, self.deployment.folder.path().to_owned())
    }
}

fn register(server: &Server, key: &str) {
    let register = ["tools", "register", "--tenant=lab", "--tool=probe", "--key", key];
    let more = ["--tool-url=https://a.example/", "--owner=l@example.com"];
    server.cli(&[&register[..], &more].concat()).exits(0);
}

fn sign(server: &Server, key: &str) -> (u16, Value) {
    let body = r#"{"tenant_slug":"lab","tool_name":"probe","action":"read","payload":{"a":1}}"#;
    server.http_with(key, "POST", "/provenance/sign", body)
}

/// The hint of the key that signed a manifest, and whether the server verifies it.
fn verified(server: &Server, key: &str, id: &str) -> (String, bool, Value) {
    let (_, answer) = server.http_with(key, "GET", &format!("/provenance/verify/{id}"), "");
    let check = |name: &str| {
        let checks = answer["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap().clone()
    };
    let signed_by = check("signature")["detail"].as_str().unwrap().to_owned();
    (signed_by, answer["verified"] == true, check("key")["outcome"].clone())
}

#[test]
fn a_key_in_vault_certifies_keys_of_servers_and_no_manifest_asks_for_it() {
    let vault = StandInVault::start("hvs.token", None, 0);
    let address = format!("vault://{}/transit/manifests", vault.host());
    let keyed =
        Keyed::new(&[("SENTINEL_SIGNING_KEY_SERVICE", &address), ("VAULT_TOKEN", "hvs.token")]);
    let shown = keyed.run("signing-key").exits(0).json();
    assert_eq!(shown["signing_key"]["certifies_for_hours"], 24);
    let key = keyed.deployment.key("admin");

    let server = keyed.serve();
    register(&server, &key);
    let asked = vault.asked();
    let ids: Vec<_> = (0..10)
        .map(|_| {
            let (status, signed) = sign(&server, &key);
            assert_eq!(status, 201, "{signed}");
            signed["manifest_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(vault.asked(), asked, "a manifest asked Vault");
    let (first, holds, certified) = verified(&server, &key, &ids[0]);
    assert!(holds && certified == "passed", "{first}");
    assert!(!first.contains(shown["signing_key"]["hint"].as_str().unwrap()), "{first}");
    assert!(!server.stop().contains("hvs.token"));

    // The next start has another key, and vouches for the one before.
    let server = keyed.serve();
    let (_, signed) = sign(&server, &key);
    let id = signed["manifest_id"].as_str().unwrap();
    let (second, holds, _) = verified(&server, &key, id);
    assert!(holds && second != first, "{first} {second}");
    let (_, holds, certified) = verified(&server, &key, &ids[9]);
    assert!(holds && certified == "passed");
    // While Vault is away nothing changes, but nothing starts either.
    vault.set(Fault::Refuses);
    assert_eq!(sign(&server, &key).0, 201);
    server.stop();
    let refused = keyed.run("serve").exits(1);
    assert!(refused.stderr.contains("Vault refused (403): permission denied"), "{refused:?}");
    assert!(refused.stderr.contains("docs/signing-keys.md"), "{refused:?}");
}

#[test]
fn a_key_with_a_service_signs_the_log() {
    let kms = StandInAwsKms::start("AKID", "s3cret", None);
    let at = |key: &str| format!("awskms://{}/alias/{key}", kms.host());
    let keyed = Keyed::new(&[
        ("SENTINEL_SIGNING_KEY_SERVICE", &at("manifests")),
        ("SENTINEL_LOG_KEY_SERVICE", &at("log")),
        ("SENTINEL_LOG_ORIGIN", "log.example"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "eu-test-1"),
    ]);
    let shown = keyed.run("signing-key").exits(0).json();
    let verifier = shown["log_key"].as_str().unwrap();
    let verifier = sentinel_provenance::log::VerifierKey::parse(verifier).unwrap();
    let key = keyed.deployment.key("admin");
    let server = keyed.serve();
    register(&server, &key);
    let (_, signed) = sign(&server, &key);
    let id = signed["manifest_id"].as_str().unwrap();
    // It waits for a checkpoint that covers the manifest.
    let (status, bundle) = server.http_with(&key, "GET", &format!("/v1/manifests/{id}/bundle"), "");
    assert_eq!(status, 200, "{bundle}");
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let note = entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap();
    sentinel_provenance::log::Checkpoint::open(note, &verifier).unwrap();
    assert!(!server.stop().contains("s3cret"));
}

#[test]
fn an_encrypted_key_of_the_environment_signs_manifests_itself() {
    let keyed = Keyed::new(&[]);
    let key = keyed.deployment.folder.path().join("key.pem");
    let encrypted = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:open sesame", "-in"])
        .arg(&key)
        .output()
        .unwrap();
    let pem = String::from_utf8(encrypted.stdout).unwrap();
    let by_variable = [
        ("SENTINEL_SIGNING_KEY_ENV", "MANIFEST_KEY"),
        ("MANIFEST_KEY", &pem),
        ("SENTINEL_SIGNING_KEY_PASSPHRASE_ENV", "MANIFEST_KEY_PASSPHRASE"),
        ("MANIFEST_KEY_PASSPHRASE", "open sesame"),
    ];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let keyed = Keyed { variables: by_variable.iter().map(owned).collect(), ..keyed };
    let admin = keyed.deployment.key("admin");
    let server = keyed.serve();
    register(&server, &admin);
    let (_, signed) = sign(&server, &admin);
    let (_, holds, certified) = verified(&server, &admin, signed["manifest_id"].as_str().unwrap());
    assert!(holds && certified == "passed");
    let output = server.stop();
    assert!(!output.contains("sesame") && !output.contains("PRIVATE"), "{output}");
}

#[test]
fn keys_that_are_named_wrongly_are_refused_with_their_fix_and_nothing_secret() {
    let keyed = Keyed::new(&[]);
    let path = keyed.deployment.folder.path().join("key.pem");
    let path = path.to_str().unwrap();
    let public = keyed.deployment.folder.file("public.pem", "no key");
    let refuses = |variables: &[(&str, &str)], what: &str, fix: &str| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut command = keyed.command("serve");
        command.envs(variables.iter().map(owned));
        let refused = Ran::from(command.output().unwrap()).exits(1).stderr;
        assert!(refused.contains(what), "no `{what}`: {refused}");
        assert!(refused.contains(fix), "no `{fix}`: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    };
    let file = ("SENTINEL_SIGNING_KEY_FILE", path);
    let vault = ("SENTINEL_SIGNING_KEY_SERVICE", "vault://v.example/transit/k");
    refuses(&[], "`signing_key_file` is missing", "openssl genpkey");
    refuses(&[file, vault], "more than one key", "remove all but one");
    refuses(
        &[("SENTINEL_SIGNING_KEY_SERVICE", "vault://u:hunter2@v/t/k")],
        "not the address of a key",
        "awskms:///alias/key",
    );
    refuses(&[vault], "there are no credentials for Vault", "docs/signing-keys.md");
    refuses(
        &[("SENTINEL_SIGNING_KEY_ENV", "NOT_SET")],
        "the variable `NOT_SET`, which is not set",
        "never the secret",
    );
    refuses(
        &[("SENTINEL_SIGNING_KEY_ENV", "-----BEGIN hunter2")],
        "the variable `…`",
        "never the secret",
    );
    let passphrase = [("SENTINEL_SIGNING_KEY_PASSPHRASE_ENV", "PHRASE"), ("PHRASE", "hunter2")];
    refuses(&[&[file], &passphrase[..]].concat(), "it is not encrypted", "remove the passphrase");
    refuses(&[&[vault], &passphrase[..]].concat(), "a key with a service has none", "remove it");
    refuses(&passphrase, "there is no key for it", "signing_key_file");
    refuses(&[file, ("SENTINEL_LOG_KEY_FILE", path)], "need an Ed25519 key", "-algorithm ED25519");
    let token = ("SENTINEL_KEY_SERVICE_TOKEN_FILE", "/run/token");
    refuses(&[file, token], "no key is with a service", "signing_key_service");
    refuses(&[file, ("SENTINEL_RETIRED_KEY_FILES", &public)], "retired_key_files", "-pubout");
    refuses(&[file, ("SENTINEL_REPLICA_KEY_HOURS", "0")], "replica_key_hours", "between 1 and");
}

#[test]
fn who_trusts_the_longer_lived_key_verifies_offline_what_a_certified_key_signed() {
    let keyed = Keyed::new(&[("SENTINEL_REPLICA_KEY_HOURS", "1")]);
    let key = keyed.deployment.folder.path().join("key.pem").to_str().unwrap().to_owned();
    let file = ("SENTINEL_SIGNING_KEY_FILE".to_owned(), key);
    let variables = [keyed.variables.clone(), vec![file]].concat();
    let keyed = Keyed { variables, ..keyed };
    let folder = &keyed.deployment.folder;
    let admin = keyed.deployment.key("admin");
    let root = keyed.run("signing-key").exits(0).json();
    let root = folder.file("root.pem", root["signing_key"]["public_key"].as_str().unwrap());
    let server = keyed.serve();
    register(&server, &admin);
    let (_, signed) = sign(&server, &admin);
    let id = signed["manifest_id"].as_str().unwrap();
    let get = |path: &str| {
        let (status, answer) = server.http_with(&admin, "GET", path, "");
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let bundle = get(&format!("/v1/manifests/{id}/bundle"));
    let hint = bundle["verificationMaterial"]["publicKey"]["hint"].as_str().unwrap();
    let bundle_file = folder.file("bundle.json", &bundle.to_string());
    let trusted = folder.file("trusted-root.json", &get("/v1/trusted-root").to_string());
    let keys = get("/v1/provenance/keys");
    let leaf = keys["items"].as_array().unwrap().iter().find(|key| key["hint"] == hint).unwrap();
    assert_eq!(leaf["events"][0]["event"], "certified");
    let event = folder.file("certified.json", &leaf["events"][0]["bundle"].to_string());
    server.stop();

    let verify = [
        "provenance",
        "verify",
        &bundle_file,
        "--key",
        &root,
        "--trusted-root",
        &trusted,
        "--json",
    ];
    let with_event = crate::support::run(&[&verify[..], &["--key-events", &event]].concat());
    assert_eq!(with_event.exits(0).json()["verified"], true);
    // Without it no key vouches for this one.
    crate::support::run(&verify).exits(1);
}
