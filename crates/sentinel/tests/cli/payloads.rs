//! Payloads from the command line, and the key that a server needs for them.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::serve::Deployment;
use crate::support::{Folder, Ran, Server, run, sentinel};

const PAYLOAD: &str = r#"{"query":   "how to rotate keys", "n": 1.0}"#;

fn sign(server: &Server) -> String {
    let body = format!(
        r#"{{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke",
            "keep_payload":true,"payload":{PAYLOAD}}}"#
    );
    let (status, answer) = server.http("POST", "/provenance/sign", "agent", &body);
    assert_eq!(status, 201, "{answer}");
    answer["manifest_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_payload_is_fetched_and_destroyed_only_by_who_means_it() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let id = sign(&server);
    let get = || server.cli(&["payload", "get", &id]);
    assert_eq!(get().exits(0).stdout, PAYLOAD);
    let file = folder.path().join("payload.json");
    server.cli(&["payload", "get", &id, "--output", file.to_str().unwrap()]).exits(0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), PAYLOAD);

    let args = ["payload", "destroy", "--tenant=platform-eng", "--reason=erasure 4711"];
    for typed in ["", "yes\n", "platform\n"] {
        let refused = destroy(&server, &args, &folder, typed).exits(2);
        assert!(refused.stderr.contains("nothing was destroyed"), "{refused:?}");
        assert_eq!(get().exits(0).stdout, PAYLOAD);
    }
    let destroyed = destroy(&server, &args, &folder, "platform-eng\n").exits(0);
    assert!(destroyed.stdout.contains("destroyed  platform-eng"), "{destroyed:?}");
    let gone = get().exits(1);
    assert!(gone.stdout.is_empty() && gone.stderr.contains("(payload_destroyed)"), "{gone:?}");
    let listed = server.cli(&["payload", "tombstones", "--tenant", "platform-eng"]).exits(0);
    assert!(listed.stdout.contains("platform-eng/1") && listed.stdout.contains("erasure 4711"));
    let again = server.cli(&[&args[..], &["--yes"]].concat()).exits(1);
    assert!(again.stderr.contains("(no_payload_key)"), "{again:?}");
}

/// Runs the command with something typed.
fn destroy(server: &Server, args: &[&str], folder: &Folder, typed: &str) -> Ran {
    let mut command = sentinel(args);
    command.env("SENTINEL_URL", &server.url).env("SENTINEL_DATA_DIR", folder.data());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_server_does_not_start_without_the_key_that_wrapped_what_is_kept() {
    let folder = Folder::new();
    let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
    let deployment = Deployment::on(folder, &database);
    let admin = deployment.key("admin");
    let key = |name: &str, text: &str, mode: u32| {
        let path = deployment.folder.file(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let right = key("payload-key", &"0a".repeat(32), 0o600);
    let wrong = key("other-key", &"0b".repeat(32), 0o600);
    let open = key("open-key", &"0a".repeat(32), 0o644);
    let short = key("short-key", "0a0a", 0o600);
    let serve = |key: Option<&str>| {
        let mut command = sentinel(&["serve", "--config", &deployment.config]);
        command.envs(key.map(|key| ("SENTINEL_PAYLOAD_KEY_FILE", key)));
        command
    };
    for (path, what) in [
        ("/nonexistent/key", "openssl rand -hex 32"),
        (&open, "chmod 600"),
        (&short, "not 32 bytes in hexadecimal or base64"),
    ] {
        let refused = Ran::from(serve(Some(path)).output().unwrap()).exits(1);
        assert!(refused.stderr.contains(what), "{refused:?}");
    }
    let server = Server::start(serve(Some(&right)), deployment.folder.data());
    let tool = r#"{"tenant_slug":"acme","name":"search","owner":"o","url":"https://x.example/"}"#;
    assert_eq!(server.http_with(&admin, "POST", "/register", tool).0, 201);
    let call = r#"{"tenant_slug":"acme","tool_name":"search","action":"invoke","payload":1,
        "keep_payload":true}"#;
    assert_eq!(server.http_with(&admin, "POST", "/provenance/sign", call).0, 201);
    server.stop();
    for (path, what) in [(None, "none is configured"), (Some(wrong.as_str()), "is another")] {
        let refused = Ran::from(serve(path).output().unwrap()).exits(1);
        assert!(refused.stderr.contains(what), "{refused:?}");
        assert!(refused.stderr.contains("`payload_key_file`"), "{refused:?}");
    }
    Server::start(serve(Some(&right)), deployment.folder.data()).stop();
    run(&["payload", "destroy", "--tenant=acme"]).exits(2);
}
