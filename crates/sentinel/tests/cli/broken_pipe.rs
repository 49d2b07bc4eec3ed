//! The reader of a command's output may stop reading: the command ends as it would have, and
//! quietly.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Folder, sentinel};

/// Both outputs go to a pipe without a reader.
fn unread(args: &[&str]) -> std::process::Command {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = sentinel(args);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    drop(reader);
    command
}

#[test]
fn every_command_ends_with_its_own_status() {
    let folder = Folder::new();
    let bad = folder.file("bad/p.rego", "package sentinel.policy\n\nallow if { false; allow }\n");
    let bad = bad.trim_end_matches("/p.rego");
    let tests = "package t\n\ntest_a if true\n\ntest_b if false\n";
    folder.file("good/p_test.rego", tests);
    let good = folder.file("good/p.rego", "package sentinel.policy\n\ndefault allow := false\n");
    let good = good.trim_end_matches("/p.rego");
    let input = folder.file("input.json", "{}");
    let config = folder.file("config.yaml", "listn: x\n");
    let data = folder.data();
    let data = data.to_str().unwrap();
    let away = ["--url", "http://127.0.0.1:1"];
    let commands: [(&[&str], i32); 14] = [
        (&["policy", "check", bad], 1),
        (&["policy", "check", bad, "--json"], 1),
        (&["policy", "check", good], 1),
        (&["policy", "test", good], 1),
        (&["policy", "eval", good, "--input", &input], 1),
        (&["policy", "eval", good, "--input", &input, "--rule", "data.sentinel.policy.allow"], 0),
        (&["policy", "schema"], 0),
        (&["openapi"], 0),
        (&["serve", "--config", &config], 1),
        (&["doctor", "--data-dir", data, away[0], away[1]], 0),
        (&["quotas", away[0], away[1]], 1),
        (&["key", "create", "--role=admin", "--name=x", "--data-dir", data], 0),
        (&["migrate", "--data-dir", data], 0),
        (&["nonsense"], 2),
    ];
    for (args, expected) in commands {
        let read = sentinel(args).output().unwrap();
        assert_eq!(read.status.code(), Some(expected), "{args:?}: {read:?}");
        let unread = unread(args).status().unwrap();
        assert_eq!(unread.code(), Some(expected), "{args:?}");
    }
}

#[test]
fn what_would_be_written_without_end_ends() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let mut follow = unread(&["decisions", "--follow"])
        .env("SENTINEL_URL", &server.url)
        .env("SENTINEL_DATA_DIR", folder.data())
        .spawn()
        .unwrap();
    // Until it listens, there is nothing to write.
    let started = Instant::now();
    let status = loop {
        server.check().exits(0);
        if let Some(status) = follow.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it goes on");
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_server_goes_on_when_nobody_reads_what_it_says() {
    let folder = Folder::new();
    let data = folder.data();
    let args = ["dev", "--listen=127.0.0.1:0", "--log=json", "--data-dir", data.to_str().unwrap()];
    let mut command = sentinel(&args);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stderr(writer).stdout(Stdio::piped());
    let server = crate::support::Server::start_with_stderr(command, data);
    for _ in 0..3 {
        server.check().exits(0);
    }
    // It logs that a policy is refused, to a pipe without a reader.
    folder.file("data/policies/broken.rego", "package");
    server.signal("HUP");
    server.check().exits(0);
    server.stop();
}
