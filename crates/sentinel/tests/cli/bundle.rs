//! Bundles from the command line, and servers whose policy comes as one.

use std::process::Command;
use std::time::{Duration, Instant};

use sentinel_client::api::CheckAnswer;
use sentinel_core::decision::ReasonCode;
use serde_json::{Value, json};

use crate::serve::Deployment;
use crate::support::{Folder, Server, run, sentinel};

const CHECK: &str = r#"{"tenant_slug":"acme","tool_name":"search","action":"invoke"}"#;

fn openssl(folder: &Folder, args: &[&str]) {
    let done = Command::new("openssl").args(args).current_dir(folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A folder with a pair of keys, `key.pem` and `key.pub`, and another in `other.pem`.
fn with_keys() -> Folder {
    let folder = Folder::new();
    for name in ["bundle", "other"] {
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
        openssl(&folder, &["genpkey", "-algorithm", "RSA", "-out", &private]);
        openssl(&folder, &["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    folder
}

fn path(folder: &Folder, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// Builds and signs a policy that allows everything or nothing.
fn build(folder: &Folder, revision: &str, allow: bool, key: &str) -> String {
    let rules = format!("package sentinel.policy\n\ndecision := {{\"allow\": {allow}}}\n");
    folder.file("policy/p.rego", &rules);
    folder.file("policy/p_test.rego", "package sentinel.policy_test\n\ntest_x if true\n");
    let (dir, key) = (path(folder, "policy"), path(folder, key));
    let bundle = path(folder, "bundle.tar.gz");
    let args = ["policy", "bundle", "build", &dir, "-o", &bundle, "--revision", revision];
    run(&[&args[..], &["--signing-key", &key]].concat()).exits(0);
    bundle
}

#[test]
fn a_bundle_is_built_signed_shown_and_verified() {
    let folder = with_keys();
    let bundle = build(&folder, "v1.0.0", true, "bundle.pem");
    let (public, other) = (path(&folder, "bundle.pub"), path(&folder, "other.pub"));
    let checked = run(&["policy", "check", &bundle]).exits(0);
    assert!(checked.stdout.contains("revision v1.0.0"), "{checked:?}");
    let refused = run(&["policy", "check", &public]).exits(1);
    assert!(refused.stdout.contains("error[invalid_bundle]"), "{refused:?}");
    let shown = run(&["policy", "bundle", "inspect", &bundle]).exits(0);
    assert!(shown.stdout.contains("v1.0.0") && shown.stdout.contains("RS256, not verified"));
    assert!(!shown.stdout.contains("p_test.rego"), "{shown:?}");
    let verify = ["policy", "bundle", "verify", &bundle, "--verification-key"];
    let verified = run(&[&verify[..], &[&public]].concat()).exits(0);
    assert!(verified.stdout.contains("verified  "), "{verified:?}");
    let refused = run(&[&verify[..], &[&other]].concat()).exits(1);
    assert!(refused.stdout.contains("error[bundle_signature]"), "{refused:?}");
    let refused = run(&[&verify[..], &[&other, "--json"]].concat()).exits(1).json();
    assert_eq!(refused["findings"][0]["code"], "bundle_signature");

    let again = path(&folder, "again.tar.gz");
    let key = path(&folder, "other.pem");
    let sign = ["policy", "bundle", "sign", &bundle, "-o", &again, "--signing-key", &key];
    let signed = run(&[&sign[..], &["--algorithm", "PS256", "--json"]].concat()).exits(0).json();
    assert_eq!((&signed["signed"], &signed["revision"]), (&json!("PS256"), &json!("v1.0.0")));
    run(&["policy", "bundle", "verify", &again, "--verification-key", &other]).exits(1);
    let right = ["policy", "bundle", "verify", &again, "--verification-key", &other];
    run(&[&right[..], &["--algorithm", "PS256"]].concat()).exits(0);
    run(&["policy", "bundle", "sign", &bundle]).exits(2);

    // What the server would refuse is not built.
    folder.file("policy/p.rego", "package sentinel.policy\n\nallow if x\n\nx if allow\n");
    let dir = path(&folder, "policy");
    let build = ["policy", "bundle", "build", &dir, "-o", &again];
    let refused = run(&build).exits(1);
    assert!(refused.stdout.contains("error[recursion]"), "{refused:?}");
    run(&[&build[..], &["--unvetted"]].concat()).exits(0);
    assert!(!run(&["policy", "bundle", "inspect", &again]).exits(0).stdout.contains("RS256"));
}

struct Running {
    server: Server,
    admin: String,
}

impl Running {
    fn start(deployment: &Deployment, admin: &str) -> Self {
        let command = sentinel(&["serve", "--config", &deployment.config]);
        let server = Server::start(command, deployment.folder.data());
        Self { server, admin: admin.to_owned() }
    }

    fn policy(&self) -> Value {
        self.server.http_with(&self.admin, "GET", "/v1/policy", "").1
    }

    fn check(&self) -> CheckAnswer<'static> {
        let (_, answer) = self.server.http_with(&self.admin, "POST", "/policy/check", CHECK);
        serde_json::from_value(answer).unwrap()
    }

    /// The newest change of policy, once so many were recorded.
    #[track_caller]
    fn recorded(&self, count: usize) -> Value {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let (_, changes) = self.server.http_with(&self.admin, "GET", "/v1/policy/changes", "");
            let changes = changes["items"].as_array().unwrap();
            if changes.len() == count {
                return changes[0].clone();
            }
            assert!(changes.len() < count && Instant::now() < until, "{changes:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the status says something.
    #[track_caller]
    fn until(&self, what: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.policy();
            if what(&status) {
                return status;
            }
            assert!(Instant::now() < until, "{status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_server_follows_its_bundle_and_lives_without_it() {
    let folder = with_keys();
    let root = folder.path().display().to_string();
    folder.file("kept/.keep", "");
    let lines = format!(
        "database_url: sqlite://{root}/sentinel.db\npolicy_bundle: file://{root}/bundle.tar.gz\n\
         policy_bundle_key_file: {root}/bundle.pub\npolicy_bundle_dir: {root}/kept"
    );
    let deployment = Deployment::without_policy(folder, &lines);
    let folder = &deployment.folder;
    let admin = deployment.key("admin");

    // Nothing there yet: it starts, denies, and says so.
    let running = Running::start(&deployment, &admin);
    running.server.wait_for("EVERY CHECK IS DENIED");
    assert!(running.policy()["revision"].is_null());
    let (status, ready) = running.server.http_with(&admin, "GET", "/readyz", "");
    assert_eq!((status, &ready["reasons"][0]), (503, &json!("no_policy")), "{ready}");
    let tool =
        r#"{"tenant_slug":"acme","name":"search","url":"https://x.example.com","owner":"o"}"#;
    running.server.http_with(&admin, "POST", "/register", tool);
    assert_eq!(running.check().code, ReasonCode::NoPolicy);

    build(folder, "1", true, "other.pem");
    running.server.signal("HUP");
    running.server.wait_for("there still is none in force: every check is denied");
    assert!(!running.server.output().contains("stays in force"), "there is none to stay");
    build(folder, "1", true, "bundle.pem");
    running.server.signal("HUP");
    running.until(|status| status["revision"] == "1");
    assert!(running.check().allow);

    // By another key, damaged, or older: what is in force stays.
    build(folder, "2", false, "other.pem");
    let status = running.until(|status| !status["error"].is_null());
    assert!(status["error"].as_str().unwrap().contains("signature"), "{status}");
    assert_eq!((&status["revision"], status["refused_at"].is_string()), (&json!("1"), true));
    build(folder, "0", false, "bundle.pem");
    running.until(|status| status["error"].as_str().is_some_and(|e| e.contains("not above `1`")));
    assert!(running.check().allow);
    let metrics = running.server.metrics(&running.admin);
    assert!(metrics.contains("sentinel_policy_current{} 0"), "{metrics}");
    assert!(metrics.contains("sentinel_policy_source_questions_total{outcome=\"loaded\"} 1"));
    build(folder, "2", false, "bundle.pem");
    running.until(|status| status["revision"] == "2" && status["error"].is_null());
    assert!(!running.check().allow);
    running.server.stop();

    // Without its source, what was good last decides.
    std::fs::remove_file(folder.path().join("bundle.tar.gz")).unwrap();
    let running = Running::start(&deployment, &admin);
    assert_eq!(running.server.ready["metadata"]["policy_revision"], "2");
    running.until(|status| status["error"].as_str().is_some_and(|e| e.contains("source")));
    assert_eq!(running.policy()["revision"], "2");
    assert_eq!(running.server.http_with(&admin, "GET", "/readyz", "").0, 200);
}

/// Builds a policy that allows everything or nothing, without a signature, by an author.
fn build_by(folder: &Folder, author: &str, revision: &str, allow: bool) -> String {
    let rules = format!("package sentinel.policy\n\ndecision := {{\"allow\": {allow}}}\n");
    folder.file("policy/p.rego", &rules);
    folder.file("policy/.manifest", &json!({"metadata": {"author": author}}).to_string());
    let (dir, bundle) = (path(folder, "policy"), path(folder, "next.tar.gz"));
    run(&["policy", "bundle", "build", &dir, "-o", &bundle, "--revision", revision]).exits(0);
    bundle
}

/// Puts what was built in place of what the source has.
fn publish(folder: &Folder, built: &str) {
    std::fs::rename(built, folder.path().join("bundle.tar.gz")).unwrap();
}

/// A server whose policy is the file `bundle.tar.gz`.
fn by_file() -> Deployment {
    let folder = Folder::new();
    let root = folder.path().display().to_string();
    folder.file("kept/.keep", "");
    let lines = format!(
        "database_url: sqlite://{root}/sentinel.db\npolicy_bundle: file://{root}/bundle.tar.gz\n\
         policy_bundle_dir: {root}/kept"
    );
    Deployment::without_policy(folder, &lines)
}

#[test]
fn what_a_bundle_brings_is_recorded_with_its_author_and_what_is_refused_too() {
    let deployment = by_file();
    let folder = &deployment.folder;
    let admin = deployment.key("admin");
    let first = build_by(folder, "alice@example.com", "1", true);
    publish(folder, &first);
    let running = Running::start(&deployment, &admin);
    let recorded = running.recorded(1);
    assert_eq!((&recorded["kind"], &recorded["revision"]), (&json!("activated"), &json!("1")));
    assert_eq!(recorded["author"], "alice@example.com");
    let actor = recorded["actor"].as_str().unwrap();
    assert!(actor.starts_with("source:file:///") && actor.ends_with("/bundle.tar.gz"), "{actor}");

    // A source that is away brings nothing, and neither does one that is back.
    let away = folder.path().join("away.tar.gz");
    std::fs::rename(folder.path().join("bundle.tar.gz"), &away).unwrap();
    running.until(|status| status["error"].as_str().is_some_and(|e| e.contains("source")));
    publish(folder, away.to_str().unwrap());
    running.until(|status| status["error"].is_null());

    let second = build_by(folder, "bob@example.com", "2", false);
    publish(folder, &second);
    let recorded = running.recorded(2);
    assert_eq!((&recorded["kind"], &recorded["revision"]), (&json!("activated"), &json!("2")));
    assert_eq!(recorded["author"], "bob@example.com");
    let old = build_by(folder, "mallory@example.com", "1", true);
    publish(folder, &old);
    let recorded = running.recorded(3);
    assert_eq!((&recorded["kind"], &recorded["revision"]), (&json!("refused"), &Value::Null));
    assert_eq!(recorded["author"], Value::Null);
    assert!(recorded["detail"].as_str().unwrap().contains("revision `1`"), "{recorded}");
    assert_eq!(running.policy()["revision"], "2");

    // What is kept was in force before, and a start without the source brings nothing.
    running.server.stop();
    std::fs::remove_file(folder.path().join("bundle.tar.gz")).unwrap();
    let running = Running::start(&deployment, &admin);
    running.until(|status| status["error"].as_str().is_some_and(|e| e.contains("source")));
    let recorded = running.recorded(4);
    assert_eq!((&recorded["kind"], &recorded["revision"]), (&json!("activated"), &json!("2")));
}

#[test]
fn a_server_that_was_away_ends_no_promotion_by_what_it_kept() {
    let deployment = by_file();
    let folder = &deployment.folder;
    let admin = deployment.key("admin");
    publish(folder, &build_by(folder, "alice@example.com", "1", true));
    let running = Running::start(&deployment, &admin);
    running.recorded(1);
    running.server.stop();
    let (kept, old) = (folder.path().join("kept"), folder.path().join("old"));
    let copied = Command::new("cp").arg("-r").args([&kept, &old]).status().unwrap();
    assert!(copied.success());

    // While it is away, the source brings another revision, and a candidate is promoted over it.
    publish(folder, &build_by(folder, "alice@example.com", "2", true));
    let running = Running::start(&deployment, &admin);
    running.recorded(2);
    let post = |path: &str, body: &str| running.server.http_with(&admin, "POST", path, body);
    let rules = "package sentinel.policy\n\ndecision := {\"allow\": false}\n";
    let files = json!({"files": {"p.rego": rules, ".manifest": "{\"revision\": \"strict\"}"}});
    assert_eq!(post("/v1/policy/rollout", &files.to_string()).0, 201);
    assert_eq!(post("/v1/policy/rollout/promote", "{}").0, 200);
    running.until(|status| status["revision"] == "strict");
    running.server.stop();

    std::fs::remove_dir_all(&kept).unwrap();
    std::fs::rename(&old, &kept).unwrap();
    let running = Running::start(&deployment, &admin);
    let status = running.until(|status| status["source_revision"] == "2");
    assert_eq!(status["revision"], "strict", "{status}");

    // Something else from the source still does.
    publish(folder, &build_by(folder, "alice@example.com", "3", true));
    running.until(|status| status["revision"] == "3");
    // The engine follows the source at once. The promotion ends when that is recorded, a moment
    // later.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, rollout) = running.server.http_with(&admin, "GET", "/v1/policy/rollout", "");
        if rollout["promoted"].is_null() {
            break;
        }
        assert!(Instant::now() < deadline, "{rollout}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn secrets_in_the_address_of_a_bundle_are_not_recorded() {
    use std::io::{Read as _, Write as _};
    let folder = Folder::new();
    let root = folder.path().display().to_string();
    folder.file("kept/.keep", "");
    let bundle = std::fs::read(build_by(&folder, "alice@example.com", "1", true)).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                bundle.len()
            );
            stream.write_all(&[head.as_bytes(), &bundle].concat()).unwrap();
        }
    });
    let lines = format!(
        "database_url: sqlite://{root}/sentinel.db\npolicy_bundle_dir: {root}/kept\n\
         policy_bundle: http://{address}/bundle.tar.gz?sig=hunter2"
    );
    let deployment = Deployment::without_policy(folder, &lines);
    let running = Running::start(&deployment, &deployment.key("admin"));
    let recorded = running.recorded(1);
    assert_eq!(recorded["actor"], format!("source:http://{address}/bundle.tar.gz"));
    assert!(!recorded.to_string().contains("hunter2"), "{recorded}");
    assert!(!running.server.stop().contains("hunter2"), "it is in the log");
}

#[test]
fn unsafe_sources_are_refused_with_their_fix() {
    let folder = with_keys();
    let root = folder.path().display().to_string();
    folder.file("kept/.keep", "");
    let lines = format!("database_url: sqlite://{root}/sentinel.db");
    let deployment = Deployment::without_policy(folder, &lines);
    let kept = format!("{root}/kept");
    let key = format!("{root}/bundle.pub");
    let bundle = |address| ("SENTINEL_POLICY_BUNDLE", address);
    let dir = ("SENTINEL_POLICY_BUNDLE_DIR", kept.as_str());
    let unsigned = deployment.folder.file("signers", "# empty so far\n\nalice@example.com\n");
    let signers = ("SENTINEL_POLICY_GIT_ALLOWED_SIGNERS", unsigned.as_str());
    let key_file = ("SENTINEL_POLICY_BUNDLE_KEY_FILE", key.as_str());
    let https = bundle("https://b.example/p.tar.gz");
    for (variables, what) in [
        (vec![https], "`policy_bundle` needs a directory"),
        (vec![bundle("http://b.example/p"), dir], "to another machine"),
        (vec![bundle("https://u:hunter2@b.example/p"), dir], "a name or a password"),
        (vec![https, dir, ("SENTINEL_POLICY_DIR", "/etc")], "are both set"),
        (
            vec![https, dir, key_file, ("SENTINEL_POLICY_BUNDLE_ALGORITHM", "none")],
            "`none` is none of",
        ),
        (vec![https, dir, key_file, ("SENTINEL_POLICY_BUNDLE_ALGORITHM", "ES256")], "not one for"),
        (vec![https, dir, ("SENTINEL_POLICY_BUNDLE_SCOPE", "x")], "without a key"),
        (vec![bundle("git+https://g.example/p.git"), dir, key_file], "names a Git repository"),
        (vec![https, dir, ("SENTINEL_POLICY_GIT_ALLOWED_SIGNERS", &key)], "names a bundle"),
        (vec![bundle("git+https://g.example/p.git"), dir, signers], "names no signer"),
        (vec![key_file], "without `policy_bundle` it does nothing"),
        (
            vec![https, dir, ("SENTINEL_POLICY_BUNDLE_MAX_DELAY_SECONDS", "3")],
            "policy_bundle_max_delay_seconds",
        ),
    ] {
        let mut command = sentinel(&["serve", "--config", &deployment.config]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(what) && text.contains("fix:"), "no `{what}`: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_watched_directory_is_loaded_anew_once_it_is_quiet() {
    let folder = Folder::new();
    let root = folder.path().display().to_string();
    let database = format!("database_url: sqlite://{root}/sentinel.db\npolicy_dir_watched: true");
    let deployment = Deployment::on(folder, &database);
    let admin = deployment.key("admin");
    let running = Running::start(&deployment, &admin);
    let first = running.policy()["revision"].clone();
    // A warning about a policy that is loaded all the same is logged, with its place.
    running.server.wait_for("the policy has a flaw: p.rego:2:1: ");
    running.server.wait_for("default_allow");
    let folder = &deployment.folder;
    folder.file("policies/p.rego", "package sentinel.policy\ndefault allow := false\n");
    let second = running.until(|status| status["revision"] != first);
    folder.file("policies/p.rego", "package sentinel.policy\nallow if {\n");
    let broken = running.until(|status| !status["error"].is_null());
    assert!(broken["error"].as_str().unwrap().starts_with("p.rego:"), "{broken}");
    assert_eq!(broken["revision"], second["revision"]);
    folder.file("policies/p.rego", "package sentinel.policy\ndefault allow := true\n");
    running.until(|status| status["revision"] == first && status["error"].is_null());
}
