//! G4: a full disk allows nothing that is not recorded, and the server recovers.

use std::path::Path;
use std::process::Command;

use sentinel_client::api::{CheckAnswer, Decision, Problem};
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
        acknowledged.push(answer.read::<CheckAnswer<'_>>().decision_id);
        assert!(acknowledged.len() < 100_000, "the disk never filled");
    };
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    let problem: Problem<'_> = refused.read();
    assert_eq!((problem.code.as_ref(), problem.allow), ("store_unavailable", Some(false)));
    let detail = &problem.detail;
    assert!(!detail.contains('/'), "the answer names a path of the server: {detail}");

    std::fs::remove_file(&ballast).unwrap();
    let again = agent.check(&check());
    assert!(again.answer.allow, "{again:?}");
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let recorded: Vec<Decision> = auditor.list("/v1/decisions");
    for id in &acknowledged {
        assert!(recorded.iter().any(|decision| decision.id == *id), "decision {id} is lost");
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
