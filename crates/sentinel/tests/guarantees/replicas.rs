//! Replicas of the real binary, `sentinel serve`, on one PostgreSQL.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use sentinel_testkit::postgres;
use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::server::spawn;

/// Two of them, with tool `probe` of tenant `lab`.
pub(crate) struct Replicas {
    pub(crate) key: String,
    running: [Mutex<Running>; 2],
    config: PathBuf,
    output: Arc<Mutex<String>>,
    _folder: TempDir,
    _database: postgres::Server,
}

struct Running {
    url: String,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn sentinel(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    command.args(arguments).arg("--config").arg(config);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Replicas {
    pub(crate) fn start() -> Self {
        let database = postgres::Server::new();
        database.create_database("fleet", "template0");
        let folder = tempfile::tempdir().unwrap();
        let (root, key) = (folder.path().display(), folder.path().join("key.pem"));
        run(Command::new("openssl")
            .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
            .arg(&key));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let policy = "package sentinel.policy\ndefault allow := true\n";
        fs::write(folder.path().join("policies/p.rego"), policy).unwrap();
        let config = folder.path().join("config.yaml");
        let lines = format!(
            "listen: 127.0.0.1:0\ndatabase_url: {}\npolicy_dir: {root}/policies\n\
             signing_key_file: {root}/key.pem\nlog_format: json\ndrain_seconds: 1\n",
            database.url("fleet"),
        );
        fs::write(&config, lines).unwrap();
        run(&mut sentinel(&["migrate"], &config));
        let key =
            run(&mut sentinel(&["key", "create", "--role", "admin", "--name", "first"], &config));
        let output = Arc::new(Mutex::new(String::new()));
        let running = std::array::from_fn(|_| {
            let (child, url) = spawn(&mut sentinel(&["serve"], &config), &output);
            Mutex::new(Running { url, child })
        });
        let fleet = Self { key, running, config, output, _folder: folder, _database: database };
        let tool = json!({
            "tenant_slug": "lab", "name": "probe", "url": "https://a.example/", "owner": "l",
        });
        assert_eq!(fleet.client(0).post("/register", &tool).status, 201);
        fleet
    }

    pub(crate) fn url(&self, replica: usize) -> String {
        self.running[replica].lock().unwrap().url.clone()
    }

    pub(crate) fn client(&self, replica: usize) -> Client {
        Client::new(&self.url(replica), &self.key)
    }

    /// Kills a replica with SIGKILL, and starts another in its place.
    pub(crate) fn replace(&self, replica: usize) {
        let mut running = self.running[replica].lock().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        let (child, url) = spawn(&mut sentinel(&["serve"], &self.config), &self.output);
        *running = Running { url, child };
    }

    /// Sends a replica a signal, as `kill` names it.
    pub(crate) fn signal(&self, replica: usize, name: &str) {
        let pid = self.running[replica].lock().unwrap().child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}
