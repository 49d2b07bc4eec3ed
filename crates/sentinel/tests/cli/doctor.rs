//! `sentinel doctor`: sees what is wrong with a deployment, and does no harm to it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::serve::Deployment;
use crate::support::{Folder, Ran, Server, run, sentinel};

fn deployment(more: &str) -> Deployment {
    let folder = Folder::new();
    let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
    Deployment::on(folder, &format!("{database}\n{more}"))
}

fn doctor(deployment: &Deployment, more: &[&str]) -> Ran {
    let args = ["doctor", "--config", &deployment.config];
    sentinel(&[&args[..], more].concat()).output().unwrap().into()
}

/// The findings about one thing: whether it is well, and what was found.
fn of<'a>(report: &'a Value, check: &str) -> Vec<(bool, &'a str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let found = findings.filter(|finding| finding["check"] == check);
    found.map(|found| (found["ok"] == true, found["detail"].as_str().unwrap())).collect()
}

#[track_caller]
fn says(report: &Value, check: &str, ok: bool, text: &str) {
    let found = of(report, check);
    assert!(
        found.iter().any(|(is_ok, detail)| *is_ok == ok && detail.contains(text)),
        "no `{text}` of `{check}`, {ok}: {report:#}"
    );
}

#[test]
fn a_deployment_is_looked_at_before_it_runs_and_while_it_does() {
    let deployment = deployment("");
    let before = doctor(&deployment, &["--json"]).exits(0).json();
    says(&before, "database", true, "not made yet");
    says(&before, "signing key", true, "can sign");
    says(&before, "policies", true, "is sound");
    assert!(!deployment.folder.path().join("sentinel.db").exists(), "it made the database");
    let key = deployment.key("admin");
    let made = doctor(&deployment, &["--json"]).exits(0).json();
    says(&made, "API keys", true, "not revoked");
    let command = sentinel(&["serve", "--config", &deployment.config]);
    let server = Server::start(command, deployment.folder.path().to_owned());
    let running = doctor(&deployment, &["--json", "--url", &server.url]).exits(0).json();
    says(&running, "database", true, "open in another process");
    says(&running, "server", true, "is ready");
    says(&running, "in force", true, "was not asked");
    let asked = doctor(&deployment, &["--json", "--url", &server.url, "--key", &key]);
    says(&asked.exits(0).json(), "in force", true, "decides");
}

#[test]
fn a_store_without_keys_is_seen_and_so_is_everything_else_that_is_wrong() {
    let deployment = deployment("redis_url: redis://127.0.0.1:1\nlog_level: debgu");
    run(&["migrate", "--config", &deployment.config]).exits(0);
    deployment
        .folder
        .file("policies/p.rego", "package sentinel.policy\n\nallow if { false; allow }\n");
    let ill = doctor(&deployment, &["--json"]).exits(1).json();
    assert_eq!(ill["healthy"], false);
    says(&ill, "config", false, "did you mean `debug`");
    says(&ill, "API keys", false, "no API key");
    says(&ill, "redis", false, "");
    says(&ill, "policies", false, "rules refer to themselves");
    let shown = doctor(&deployment, &[]).exits(1).stdout;
    for line in ["✗ config", "✗ API keys", "✗ redis", "✗ policies", "✓ signing key"] {
        assert!(shown.contains(line), "no `{line}`: {shown}");
    }
    assert!(shown.contains("sentinel policy check '"), "{shown}");
}

#[test]
fn an_opa_that_is_away_is_seen() {
    let deployment = deployment("policy_engine: shadow\nopa_url: http://127.0.0.1:1");
    let ill = doctor(&deployment, &["--json"]).exits(1).json();
    says(&ill, "opa", false, "");
    says(&ill, "policies", true, "is sound");
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_with_its_lines() {
    let folder = Folder::new();
    let config = folder.file("config.yaml", "\nlistn: 127.0.0.1:0\n");
    let ill = run(&["doctor", "--config", &config, "--json"]).exits(1).json();
    says(&ill, "config", false, "line 2: there is no field `listn`; did you mean `listen`?");
    let ill = run(&["doctor", "--config", "/nonexistent", "--json"]).exits(1).json();
    says(&ill, "config", false, "cannot read");
}

#[test]
fn a_policy_that_the_running_server_refused_is_seen_wherever_it_is() {
    let folder = Folder::new();
    let policies = folder.file("elsewhere/p.rego", "package sentinel.policy\n\nallow := true\n");
    let policies = policies.trim_end_matches("/p.rego").to_owned();
    let server = folder.dev(&["--policies", &policies]);
    let well = server.cli(&["doctor", "--json"]).exits(0).json();
    says(&well, "in force", true, "decides");
    folder.file("elsewhere/p.rego", "package sentinel.policy\n\nallow if { false; allow }\n");
    server.signal("HUP");
    server.wait_for("refused");
    let ill = server.cli(&["doctor", "--json"]).exits(1).json();
    says(&ill, "in force", false, "rules refer to themselves");
}

#[test]
fn what_is_missing_beside_a_used_database_is_not_called_new() {
    let folder = Folder::new();
    folder.dev(&[]).stop();
    let data = folder.data();
    let args = ["doctor", "--json", "--data-dir", data.to_str().unwrap(), "--url"];
    let args = [&args[..], &["http://127.0.0.1:1"]].concat();
    run(&args).exits(0);
    std::fs::rename(data.join("signing-key.pem"), folder.path().join("backup")).unwrap();
    std::fs::write(data.join("keys.json"), "{").unwrap();
    let ill = run(&args).exits(1);
    let report = ill.json();
    says(&report, "signing key", false, "is missing");
    says(&report, "API keys", false, "not a file of keys");
    assert!(!ill.stdout.contains("remove it") && !ill.stdout.contains("not made yet"), "{ill:?}");
    // What is not a directory cannot be looked into.
    let file = folder.file("file", "");
    let args = ["doctor", "--json", "--data-dir", &file, "--url", "http://127.0.0.1:1"];
    let ill = run(&args).exits(1).json();
    assert_eq!(ill["healthy"], false, "{ill}");
    std::fs::set_permissions(data.join("keys.json"), Permissions::from_mode(0o600)).unwrap();
}
