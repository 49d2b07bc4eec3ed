//! Evidence about a tenant: exported from a server, verified without it, by Sentinel and by cosign.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::{Folder, Ran, Server, run};

const PAYLOAD: &str = r#"{"query": "how to rotate keys"}"#;

/// A server with a few decisions and manifests, and the archive of them.
struct Exported {
    folder: Folder,
    server: Server,
    archive: PathBuf,
}

fn act(server: &Server) {
    let allowed = server.check().exits(0).json();
    let decision = allowed["decision_id"].as_str().unwrap();
    let body = format!(
        r#"{{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke",
            "purpose":"documentation_lookup","decision_id":"{decision}","payload":{PAYLOAD}}}"#
    );
    let (status, answer) = server.http("POST", "/provenance/sign", "agent", &body);
    assert_eq!(status, 201, "{answer}");
}

fn export(server: &Server, to: &Path, more: &[&str]) -> Ran {
    let to = to.to_str().unwrap();
    let args = ["evidence", "export", "--tenant=platform-eng", "-o", to];
    let window = ["--from=2026-01-01T00:00:00Z", "--to=2100-01-01T00:00:00Z"];
    server.cli(&[&args[..], &window, more].concat())
}

impl Exported {
    fn new(more: &[&str]) -> Self {
        let folder = Folder::new();
        let server = folder.dev(&[]);
        for _ in 0..3 {
            act(&server);
        }
        // Denied: no such purpose.
        let denied = ["check", "--tenant=platform-eng", "--tool=langsmith-docs-search"];
        server.cli(&[&denied[..], &["--purpose=curiosity"]].concat()).exits(1);
        let archive = folder.path().join("evidence.tar.gz");
        export(&server, &archive, more).exits(0);
        Self { folder, server, archive }
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut archive =
            tar::Archive::new(GzDecoder::new(std::fs::File::open(&self.archive).unwrap()));
        let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path.split_once('/').unwrap().1.to_owned(), bytes)
        };
        archive.entries().unwrap().map(read).collect()
    }

    /// The archive after `change`, its digests made again as a forger would, or left as they were.
    fn altered(&self, sums: bool, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> String {
        let mut files = self.files();
        change(&mut files);
        if sums {
            files.retain(|(path, _)| path != "SHA256SUMS");
            let line = |(path, bytes): &(String, Vec<u8>)| {
                let digest = sentinel_provenance::Sha256Digest::of(bytes).to_hex();
                format!("{digest}  {path}\n")
            };
            let text: String = files.iter().map(line).collect();
            files.push(("SHA256SUMS".to_owned(), text.into_bytes()));
        }
        let path = self.folder.path().join("altered.tar.gz");
        let gzip = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // By hand: the library writes no path that leads elsewhere.
            let path = format!("evidence-x/{path}");
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Unpacks it as an auditor does.
    fn unpacked(&self) -> PathBuf {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&self.archive).current_dir(self.folder.path());
        assert!(tar.status().unwrap().success());
        self.folder.path().join("evidence-platform-eng")
    }
}

fn verify(archive: &str) -> Ran {
    run(&["evidence", "verify", archive])
}

#[track_caller]
fn refuses(archive: &str, why: &str) {
    let ran = verify(archive).exits(1);
    assert!(ran.stdout.starts_with("not verified\n"), "{ran:?}");
    assert!(ran.stdout.contains(why), "no `{why}` in\n{}", ran.stdout);
}

fn first_bundle(files: &mut [(String, Vec<u8>)]) -> &mut (String, Vec<u8>) {
    files.iter_mut().find(|(path, _)| path.starts_with("bundles/")).unwrap()
}

#[test]
fn an_archive_is_whole_readable_and_verified_without_the_server() {
    let it = Exported::new(&[]);
    let archive = it.archive.to_str().unwrap();
    // The same again, byte for byte, as long as nothing was signed in between.
    let again = it.folder.path().join("again.tar.gz");
    export(&it.server, &again, &["--json"]).exits(0);
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&it.archive).unwrap());
    export(&it.server, &again, &[]).exits(1);
    let key = it.folder.data().join("signing-key.pub.pem").display().to_string();
    let folder = it.unpacked();
    let Exported { server, .. } = it;
    server.stop();
    let ran = verify(archive).exits(0);
    for line in [
        "verified\n",
        "  ✓ manifests   3 listed, none missing, none besides\n",
        "  ✓ bundles     3 signed, in the log, and as listed\n",
        "  ✓ decisions   4, 3 with signed manifests\n",
        "Keys came from the archive itself",
    ] {
        assert!(ran.stdout.contains(line), "no `{line}` in\n{}", ran.stdout);
    }
    let root = folder.join("trusted-root.json").display().to_string();
    let ran =
        run(&["evidence", "verify", archive, "--key", &key, "--trusted-root", &root]).exits(0);
    assert!(!ran.stdout.contains("Keys came from the archive"), "{ran:?}");
    assert!(
        ran.stdout.contains("  ✓ keys        1 used, all given, none revoked before\n"),
        "{ran:?}"
    );

    let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(report.contains("<strong>4 decisions</strong>"), "{report}");
    assert!(report.contains("<span class=allow>3 allowed</span>"), "{report}");
    assert_eq!(report.matches(">manifest</a>").count(), 3);
    assert!(!folder.join("salts.ndjson").exists());
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&folder);
    assert!(sums.status().unwrap().success());
}

#[test]
fn cosign_verifies_one_action_as_the_readme_says() {
    let it = Exported::new(&["--with-salts"]);
    let folder = it.unpacked();
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let command = readme.split("    cosign ").nth(1).unwrap().split("\n\n").next().unwrap();
    let words = command.replace("\\\n", " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let cosign = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/cosign");
    assert!(cosign.exists(), "`cosign` is missing; run scripts/install.sh test");
    let asked = |words: &[&str]| {
        let mut command = Command::new(&cosign);
        command.args(words).current_dir(&folder).env("HOME", &folder);
        command.output().unwrap()
    };
    let good = asked(&words);
    assert!(good.status.success(), "{words:?} {good:?}");
    // Another digest than the one that is committed to.
    let digest = words.iter().position(|word| *word == "--digest").unwrap() + 1;
    let other = "00".repeat(32);
    let mut changed = words.clone();
    changed[digest] = &other;
    assert!(!asked(&changed).status.success());

    // With the payload and its salt, the artifact itself.
    let id = words.iter().find_map(|word| word.strip_prefix("bundles/")).unwrap();
    let id = id.trim_end_matches(".json");
    let salts = std::fs::read_to_string(folder.join("salts.ndjson")).unwrap();
    let salt: Value = salts
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|salt| salt["manifest_id"] == id)
        .unwrap();
    let salt = hex::decode(salt["salt"].as_str().unwrap()).unwrap();
    std::fs::write(folder.join("artifact"), [salt.as_slice(), PAYLOAD.as_bytes()].concat())
        .unwrap();
    let mut with_artifact = words[..digest - 1].to_vec();
    with_artifact.push("artifact");
    let good = asked(&with_artifact);
    assert!(good.status.success(), "{with_artifact:?} {good:?}");
    std::fs::write(folder.join("artifact"), PAYLOAD).unwrap();
    assert!(!asked(&with_artifact).status.success());
}

#[test]
fn whatever_is_changed_in_an_archive_is_found() {
    let it = Exported::new(&[]);
    assert!(verify(&it.altered(true, |_| {})).code == Some(0), "what is not changed is good");
    refuses(
        &it.altered(false, |files| {
            let (_, bytes) = files.iter_mut().find(|(path, _)| path == "report.html").unwrap();
            bytes.extend(b"<p>And more.</p>");
        }),
        "  ✗ files       `report.html` was changed\n",
    );
    refuses(
        &it.altered(false, |files| files.push(("more".to_owned(), Vec::new()))),
        "`more` was added\n",
    );
    refuses(
        &it.altered(true, |files| {
            let path = first_bundle(files).0.clone();
            files.retain(|(other, _)| *other != path);
        }),
        "has no bundle\n",
    );
    // The manifest is left out everywhere.
    refuses(
        &it.altered(true, |files| {
            let path = first_bundle(files).0.clone();
            files.retain(|(other, _)| *other != path);
            let (_, list) = files.iter_mut().find(|(path, _)| path == "manifests.ndjson").unwrap();
            let text = String::from_utf8(list.clone()).unwrap();
            *list = text.split_once('\n').unwrap().1.as_bytes().to_vec();
        }),
        "  ✗ manifests   2 are listed, there were 3\n",
    );
    refuses(
        &it.altered(true, |files| {
            let (_, list) = files.iter_mut().find(|(path, _)| path == "decisions.ndjson").unwrap();
            *list =
                String::from_utf8(list.clone()).unwrap().replace("\"allow\"", "\"deny\"").into();
        }),
        "says otherwise than manifest `",
    );
    refuses(
        &it.altered(true, |files| {
            let (_, list) = files.iter_mut().find(|(path, _)| path == "manifests.ndjson").unwrap();
            *list =
                String::from_utf8(list.clone()).unwrap().replace("\"invoke\"", "\"delete\"").into();
        }),
        "it says something else than the list: action\n",
    );
    refuses(
        &it.altered(true, |files| {
            let (_, bundle) = first_bundle(files);
            let mut document: Value = serde_json::from_slice(bundle).unwrap();
            let payload = &mut document["dsseEnvelope"]["payload"];
            *payload = payload.as_str().unwrap().replacen('A', "B", 1).into();
            *bundle = document.to_string().into_bytes();
        }),
        ": signature: signature does not match",
    );
}

#[test]
fn whatever_is_changed_in_keys_and_checkpoints_is_found() {
    let it = Exported::new(&[]);
    refuses(
        &it.altered(true, |files| {
            let (_, event) =
                files.iter_mut().find(|(path, _)| path.starts_with("key-events/")).unwrap();
            let mut document: Value = serde_json::from_slice(event).unwrap();
            let index = &mut document["verificationMaterial"]["tlogEntries"][0]["logIndex"];
            *index = "2".into();
            *event = document.to_string().into_bytes();
        }),
        "  ✗ keys        `key-events/0001-introduced.json`: entry and proof of log",
    );
    refuses(
        &it.altered(true, |files| {
            let (_, key) = files.iter_mut().find(|(path, _)| path.starts_with("keys/")).unwrap();
            *key = b"no key".to_vec();
        }),
        "is not the key that it is named after\n",
    );
    refuses(
        &it.altered(true, |files| {
            let origin = "checkpoints/log.localhost";
            let (_, note) = files.iter_mut().find(|(path, _)| path == origin).unwrap();
            let text = String::from_utf8(note.clone()).unwrap();
            *note = text.replacen("log.localhost\n", "log.localhost\n1", 1).into_bytes();
        }),
        "  ✗ log         there is no checkpoint that log `log.localhost` signed\n",
    );
}

#[test]
fn what_is_no_archive_of_evidence_is_refused() {
    let it = Exported::new(&[]);
    let outside = it.altered(true, |files| files.push(("a/../../b".to_owned(), Vec::new())));
    assert!(verify(&outside).exits(1).stderr.contains("has no place in an archive of evidence"));
    // Cut anywhere.
    let bytes = std::fs::read(&it.archive).unwrap();
    for end in [0, 10, bytes.len() / 2, bytes.len() - 9] {
        let cut = it.folder.path().join("cut.tar.gz");
        std::fs::write(&cut, &bytes[..end]).unwrap();
        verify(cut.to_str().unwrap()).exits(1);
    }
}

#[test]
fn keys_of_ones_own_decide_where_they_are_given() {
    let it = Exported::new(&[]);
    let other = Exported::new(&[]);
    let archive = it.archive.to_str().unwrap();
    let key = other.folder.data().join("signing-key.pub.pem").display().to_string();
    let ran = run(&["evidence", "verify", archive, "--key", &key]).exits(1);
    assert!(ran.stdout.contains("is not trusted\n"), "{}", ran.stdout);
    let root = other.unpacked().join("trusted-root.json").display().to_string();
    let ran = run(&["evidence", "verify", archive, "--trusted-root", &root]).exits(1);
    assert!(ran.stdout.contains("bundle has no entry of a trusted log\n"), "{}", ran.stdout);
}

#[test]
fn the_log_behind_an_archive_is_audited_over_http() {
    let it = Exported::new(&[]);
    let folder = it.unpacked();
    let bundles: BTreeMap<_, _> = std::fs::read_dir(folder.join("bundles"))
        .unwrap()
        .map(|entry| (entry.unwrap().path().display().to_string(), ()))
        .collect();
    let root = folder.join("trusted-root.json").display().to_string();
    let url = format!("{}/v1/log/", it.server.url);
    let key = it.server.key("auditor");
    let audit = ["log", "audit", &url, "--trusted-root", &root, "--api-key", &key, "--bundle"];
    let bundles: Vec<&str> = bundles.keys().map(String::as_str).collect();
    let ran = run(&[&audit[..], &bundles].concat()).exits(0);
    assert!(ran.stdout.starts_with("sound  log `log.localhost` in http://"), "{}", ran.stdout);
    assert!(ran.stdout.contains("3 of 3 entries of bundles are there"), "{}", ran.stdout);
    let ran = run(&["log", "audit", &url, "--trusted-root", &root]).exits(1);
    assert!(ran.stderr.contains("the answer is 401 Unauthorized"), "{}", ran.stderr);
}
