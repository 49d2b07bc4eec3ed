//! `sentinel serve`: what it refuses, and that it serves what is sound.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Folder, Ran, Server, run, sentinel};

/// A folder with a configuration that is sound but for its keys.
pub(crate) struct Deployment {
    pub(crate) folder: Folder,
    pub(crate) config: String,
}

impl Deployment {
    fn new() -> Self {
        let folder = Folder::new();
        let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
        Self::on(folder, &database)
    }

    /// One with these lines in its configuration, which name a database.
    pub(crate) fn on(folder: Folder, lines: &str) -> Self {
        let dir = format!("{lines}\npolicy_dir: {}/policies", folder.path().display());
        Self::without_policy(folder, &dir)
    }

    /// One whose lines say where the policy is, or nothing does.
    pub(crate) fn without_policy(folder: Folder, lines: &str) -> Self {
        let root = folder.path().display().to_string();
        let key = folder.path().join("key.pem");
        let made = std::process::Command::new("openssl")
            .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
            .arg(&key)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success());
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        folder.file("policies/p.rego", "package sentinel.policy\ndefault allow := true\n");
        let config = folder.file(
            "config.yaml",
            &format!(
                "listen: 127.0.0.1:0\n{lines}\n\
                 signing_key_file: {root}/key.pem\n\
                 log_format: json\ndrain_seconds: 1\n"
            ),
        );
        Self { folder, config }
    }

    fn serve_with(&self, variables: &[(&str, &str)]) -> Ran {
        let mut command = sentinel(&["serve", "--config", &self.config]);
        command.envs(variables.iter().copied()).output().unwrap().into()
    }

    /// Asserts that it does not start, and says what and how.
    #[track_caller]
    fn refuses(&self, variables: &[(&str, &str)], what: &str, fix: &str) {
        let refused = self.serve_with(variables).exits(1);
        assert!(refused.stderr.contains(what), "no `{what}`: {}", refused.stderr);
        assert!(refused.stderr.contains(fix), "no `{fix}`: {}", refused.stderr);
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }

    pub(crate) fn key(&self, role: &str) -> String {
        let args = ["key", "create", "--config", &self.config, "--role", role, "--name=first"];
        run(&args).exits(0).stdout.trim().to_owned()
    }
}

#[test]
fn each_unsafe_or_incomplete_configuration_is_refused_with_its_fix() {
    let deployment = Deployment::new();
    let refuses = |variables: &[_], what, fix| deployment.refuses(variables, what, fix);
    refuses(&[], "no API key", "sentinel key create --config");
    refuses(
        &[("SENTINEL_DATABASE_URL", "postgres://u:secret@db/x")],
        "verified TLS",
        "sslmode=verify-full",
    );
    refuses(&[("SENTINEL_DATABASE_URL", "mysql://x")], "not a `sqlite://`", "database_url:");
    refuses(&[("SENTINEL_DATABASE_URL", "postgres://[x")], "PostgreSQL address", "postgres://user");
    refuses(&[("SENTINEL_REDIS_URL", "http://x")], "redis_url", "redis://127.0.0.1:6379");
    refuses(&[("SENTINEL_RATE_LIMITS", "agent:5")], "rate limit", "agent:100/1s");
    refuses(&[("SENTINEL_DATABASE_READ_URL", "postgres://x")], "for PostgreSQL", "remove");
    refuses(&[("SENTINEL_DATABASE_CONNECTIONS", "1")], "database_connections", "between 4 and");
    refuses(&[("SENTINEL_DATABASE_URL", "sqlite://x.db")], "not absolute", "database_url:");
    refuses(
        &[("SENTINEL_DATABASE_URL", "sqlite:///nonexistent/x.db")],
        "`/nonexistent`",
        "mkdir -m 700",
    );
    refuses(&[("SENTINEL_POLICY_DIR", "/nonexistent")], "policy directory", "policy_dir");
    refuses(&[("SENTINEL_POLICY_ENGINE", "opa")], "`opa_url` is missing", "http://127.0.0.1:8181");
    refuses(
        &[("SENTINEL_POLICY_ENGINE", "shadow"), ("SENTINEL_OPA_URL", "http://opa.example:8181")],
        "to another machine",
        "https://opa.example.com",
    );
    refuses(&[("SENTINEL_SIGNING_KEY_FILE", "/nonexistent")], "signing key", "openssl genpkey");
    refuses(&[("SENTINEL_LISTEN", "0.0.0.0:0")], "clear text", "tls_terminated_upstream: true");
    refuses(&[("SENTINEL_LISTEN", "0.0.0.0:0")], "any host name", "allowed_hosts:");
    refuses(&[("SENTINEL_EXT_AUTHZ_LISTEN", "0.0.0.0:0")], "`ext_authz_listen: 0", "TLS listener");
    refuses(&[("SENTINEL_ADMIN_LISTEN", "0.0.0.0:0")], "`admin_listen: 0", "TLS listener");
    refuses(&[("SENTINEL_TRUSTED_PROXIES", "10.0.0.0/8,proxy")], "`proxy`", "`10.0.0.0/8`");
    refuses(
        &[
            ("SENTINEL_DATABASE_URL", "postgres://u@localhost/x"),
            ("SENTINEL_RATE_LIMITS", "agent:5/1s"),
        ],
        "`replicas` does not say",
        "SENTINEL_REPLICAS",
    );
    refuses(
        &[
            ("SENTINEL_DATABASE_URL", "postgres://u@localhost/x"),
            ("SENTINEL_REDIS_URL", "redis://127.0.0.1:6379"),
            ("SENTINEL_ON_REDIS_LOSS", "local_share"),
        ],
        "`on_redis_loss: local_share` divides",
        "SENTINEL_REPLICAS",
    );
    refuses(&[("SENTINEL_MAX_WAITING", "0")], "max_waiting", "between 1 and");
    refuses(&[("SENTINEL_LOG_LEVEL", "a=b=c")], "log_level", "debug");
    let key = deployment.folder.path().join("key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refuses(&[], "can be read by others", "chmod 600");
}

#[test]
fn no_password_of_an_address_is_repeated() {
    let deployment = Deployment::new();
    let refused = deployment.serve_with(&[("SENTINEL_DATABASE_URL", "pg://user:s3cret@db/x")]);
    assert!(!refused.exits(1).stderr.contains("s3cret"));
}

#[test]
fn every_problem_is_listed_at_once() {
    let folder = Folder::new();
    let config = folder.file("config.yaml", "listen: 0.0.0.0:0\n");
    let refused = run(&["serve", "--config", &config]).exits(1).stderr;
    for what in ["database_url", "policy_dir", "signing_key_file", "clear text", "allowed_hosts"] {
        assert!(refused.contains(what), "{what}: {refused}");
    }
    assert_eq!(refused.matches("fix:").count(), 5, "{refused}");
}

#[test]
fn unknown_fields_and_missing_files_are_refused() {
    let folder = Folder::new();
    let config = folder.file("config.yaml", "listn: 127.0.0.1:0\n");
    let refused = run(&["serve", "--config", &config]).exits(1);
    assert!(refused.stderr.contains("listn"), "{refused:?}");
    run(&["serve", "--config", "/nonexistent"]).exits(1);
    run(&["serve"]).exits(2);
}

#[test]
fn told_to_stop_it_is_first_unready_then_answers_what_it_accepted_and_ends() {
    let deployment = Deployment::new();
    let key = deployment.key("admin");
    let command = sentinel(&["serve", "--config", &deployment.config]);
    let mut server = Server::start(command, deployment.folder.path().to_owned());
    assert_eq!(server.http_with("", "GET", "/readyz", "").0, 200);
    server.signal("TERM");
    server.wait_for("stopping");
    let (status, told) = server.http_with("", "GET", "/readyz", "");
    assert_eq!((status, &told["reasons"][0]), (503, &serde_json::json!("stopping")));
    let body = r#"{"tenant_slug":"lab","tool_name":"probe","action":"read"}"#;
    assert_eq!(server.http_with(&key, "POST", "/policy/check", body).0, 404, "it is decided");
    assert!(server.wait().success());
}

/// HTTP/2 begins with the client's preface, and the server answers it with its settings.
#[test]
fn gateways_are_served_where_the_configuration_says_and_nowhere_else() {
    let deployment = Deployment::new();
    deployment.key("admin");
    let mut command = sentinel(&["serve", "--config", &deployment.config]);
    command.env("SENTINEL_EXT_AUTHZ_LISTEN", "127.0.0.1:0");
    let server = Server::start(command, deployment.folder.path().to_owned());
    let address = server.ready["metadata"]["ext_authz"].as_str().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "a frame of settings: {head:?}");
    drop(stream);
    server.stop();
    let command = sentinel(&["serve", "--config", &deployment.config]);
    let without = Server::start(command, deployment.folder.path().to_owned());
    assert!(without.ready["metadata"]["ext_authz"].is_null());
}

#[test]
fn a_sound_configuration_is_served_with_keys_only() {
    let deployment = Deployment::new();
    let key = deployment.key("admin");
    let command = sentinel(&["serve", "--config", &deployment.config]);
    let server = Server::start(command, deployment.folder.path().to_owned());
    let tool = ["--tenant=lab", "--tool=probe"];
    let register =
        ["tools", "register", "--tool-url=https://a.example/", "--owner=l@example.com", "--key"];
    server.cli(&[&register[..], &[&key], &tool].concat()).exits(0);
    server.cli(&[&["check", "--key", &key], &tool[..]].concat()).exits(0);
    server.cli(&[&["check"], &tool[..]].concat()).exits(1);
    let held = ["key", "create", "--config", &deployment.config, "--role=agent", "--name=x"];
    let held = run(&held).exits(1);
    assert!(held.stderr.contains("over HTTP"), "{held:?}");
    server.stop();
    let migrated = run(&["migrate", "--config", &deployment.config, "--json"]).exits(0).json();
    assert!(migrated["schema"].as_u64().unwrap() >= 1);
    run(&["migrate", "--config", &deployment.config, "--step", "contract"]).exits(0);
}
