//! `sentinel dev`: what it makes, keeps, prints and refuses.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Folder, run, sentinel};

const ROLES: [&str; 5] = ["agent", "operator", "author", "auditor", "admin"];

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_run_makes_everything_for_its_owner_only() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let data = folder.data();
    assert_eq!(mode(&data), 0o700);
    for private in ["keys.json", "signing-key.pem", "sentinel.db"] {
        assert_eq!(mode(&data.join(private)), 0o600, "{private}");
    }
    let public = std::fs::read_to_string(data.join("signing-key.pub.pem")).unwrap();
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(data.join("policies/sentinel/policy.rego").is_file());
    let keys = ROLES.map(|role| server.key(role));
    assert!(ROLES.iter().zip(&keys).all(|(role, key)| key.starts_with(&format!("snt_{role}_"))));
    assert_eq!(server.ready["metadata"]["keys_created"], true);
    assert_eq!(server.ready["metadata"]["tools_seeded"].as_array().unwrap().len(), 4);
    let said = format!("{}{}", server.ready, server.output());
    assert!(keys.iter().all(|key| !said.contains(key.as_str())), "a log holds a key");
}

#[test]
fn a_later_start_keeps_what_there_is_and_shows_no_key() {
    let folder = Folder::new();
    let first = folder.dev(&[]);
    let keys = ROLES.map(|role| first.key(role));
    let tools = first.cli(&["tools", "list", "--json"]).exits(0).json();
    first.stop();
    let again = folder.dev(&[]);
    assert_eq!(ROLES.map(|role| again.key(role)), keys);
    assert_eq!(again.cli(&["tools", "list", "--json"]).exits(0).json(), tools);
    assert_eq!(again.ready["metadata"]["keys_created"], false);
    assert_eq!(again.ready["metadata"]["tools_seeded"].as_array().unwrap().len(), 0);
}

/// Starts it as on a terminal, and answers what it printed until it said how to stop it.
fn banner(folder: &Folder) -> String {
    let data = folder.data();
    let args = ["dev", "--listen=127.0.0.1:0", "--log=text", "--data-dir", data.to_str().unwrap()];
    let mut child = sentinel(&args).stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut text = String::new();
    for line in lines.map_while(Result::ok) {
        text += &format!("{line}\n");
        if line.contains("Ctrl-C") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn keys_are_printed_once_and_the_example_reads_them_from_their_file() {
    let folder = Folder::new();
    let first = banner(&folder);
    let keys = std::fs::read_to_string(folder.data().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    for role in ROLES {
        assert_eq!(first.matches(keys[role].as_str().unwrap()).count(), 1, "{role}: {first}");
    }
    let second = banner(&folder);
    assert!(!second.contains("snt_"), "{second}");
    assert!(second.contains("keys.json"), "{second}");
}

#[test]
fn the_example_of_the_banner_works_when_pasted() {
    let folder = Folder::new();
    let text = banner(&folder);
    let example = text.split("Try it").nth(1).unwrap().split("Ctrl-C").next().unwrap();
    // The banner's server is gone; the same command must work against the next one.
    let server = folder.dev(&[]);
    let start = example.find("http://").unwrap();
    let end = start + example[start..].find("/policy").unwrap();
    let command = example.replace(&example[start..end], &server.url);
    let output = std::process::Command::new("sh").args(["-c", &command]).output();
    let answer: Value = serde_json::from_slice(&output.unwrap().stdout).expect(&command);
    assert_eq!(answer["allow"], true, "{answer}");
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let data = folder.data();
    let refused =
        run(&["dev", "--listen=127.0.0.1:0", "--data-dir", data.to_str().unwrap()]).exits(1);
    assert!(refused.stderr.contains("another process"), "{refused:?}");
    assert!(refused.stderr.contains("help:"), "{refused:?}");
    server.check().exits(0);
}

#[test]
fn other_addresses_than_loopback_are_refused() {
    let folder = Folder::new();
    let data = folder.data();
    let refused =
        run(&["dev", "--listen=0.0.0.0:8000", "--data-dir", data.to_str().unwrap()]).exits(2);
    assert!(refused.stderr.contains("loopback"), "{refused:?}");
    assert!(refused.stderr.contains("sentinel serve"), "{refused:?}");
    let listen = ["dev", "--listen=127.0.0.1:0", "--ext-authz-listen=0.0.0.0:0", "--data-dir"];
    let refused = run(&[&listen[..], &[data.to_str().unwrap()]].concat()).exits(2);
    assert!(refused.stderr.contains("--ext-authz-listen 127.0.0.1:0"), "{refused:?}");
    assert!(!data.exists());
}

#[test]
fn what_others_can_read_is_refused() {
    let folder = Folder::new();
    folder.dev(&[]).stop();
    let data = folder.data();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let start = || run(&["dev", "--listen=127.0.0.1:0", "--data-dir", data.to_str().unwrap()]);
    open(&data, 0o755);
    assert!(start().exits(1).stderr.contains("chmod 700"));
    open(&data, 0o700);
    open(&data.join("signing-key.pem"), 0o644);
    assert!(start().exits(1).stderr.contains("chmod 600"));
}

#[test]
fn without_authentication_no_key_is_needed_or_made() {
    let folder = Folder::new();
    let server = folder.dev(&["--no-auth"]);
    assert!(!folder.data().join("keys.json").exists());
    assert_eq!(server.check().exits(0).json()["allow"], true);
}

#[test]
fn a_removed_database_gets_new_keys_and_a_revoked_key_stays_revoked() {
    let folder = Folder::new();
    let first = folder.dev(&[]);
    let keys = first.cli(&["key", "list", "--json"]).exits(0).json();
    let agent = keys.as_array().unwrap().iter().find(|key| key["role"] == "agent").unwrap();
    first.cli(&["key", "revoke", agent["id"].as_str().unwrap()]).exits(0);
    let old = first.key("agent");
    first.stop();
    let second = folder.dev(&[]);
    assert_eq!(second.key("agent"), old);
    second.check().exits(1);
    second.stop();
    for name in ["sentinel.db", "sentinel.db-wal", "sentinel.db-shm"] {
        drop(std::fs::remove_file(folder.data().join(name)));
    }
    let third = folder.dev(&[]);
    assert_ne!(third.key("agent"), old);
    third.check().exits(0);
}

#[test]
fn policies_of_the_user_are_kept() {
    let folder = Folder::new();
    folder.dev(&[]).stop();
    let path = folder.data().join("policies/sentinel/policy.rego");
    let mine = std::fs::read_to_string(&path).unwrap() + "\n# mine\n";
    std::fs::write(&path, &mine).unwrap();
    folder.dev(&[]).stop();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), mine);
}
