//! G4: a full disk allows nothing that is not recorded, and the server recovers.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;

/// A file system of 8 MiB of its own.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path())
            .status()
            .expect("`mount` can be run");
        assert!(status.success(), "this test mounts a small tmpfs and must run as root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the small disk is unmounted");
    }
}

#[test]
fn a_full_disk_denies_and_recovers() {
    let disk = SmallDisk::mount();
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0_u8; 4 << 20]).unwrap();
    let policy = "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": []}\n";
    let server = Server::with_policy_in(policy, &disk.path().join("data"));
    let mut agent = Client::new(&server.url, &server.key("agent"));

    let mut acknowledged = Vec::new();
    let refused = loop {
        let answer = agent.post("/policy/check", &check());
        if answer.status != 200 {
            break answer;
        }
        acknowledged.push(answer.body["decision_id"].as_str().unwrap().to_owned());
        assert!(acknowledged.len() < 100_000, "the disk never filled");
    };
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    assert_eq!(refused.body["code"], "store_unavailable");
    assert_eq!(refused.body["allow"], false);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(!detail.contains('/'), "no path of the server is told: {detail}");

    std::fs::remove_file(&ballast).unwrap();
    let again = agent.post("/policy/check", &check());
    assert_eq!((again.status, &again.body["allow"]), (200, &json!(true)), "{:?}", again.body);
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let recorded = auditor.list("/v1/decisions");
    for id in &acknowledged {
        assert!(recorded.iter().any(|d| d["id"] == json!(id)), "decision {id} is lost");
    }
}

fn check() -> Value {
    json!({
        "tenant_slug": "secops",
        "tool_name": "incident-response-runbook",
        "action": "invoke",
        "context": {"ballast": "x".repeat(4096)},
    })
}
