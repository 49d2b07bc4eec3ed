//! The real binary, `sentinel dev`, with a policy of the test's.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Time a server gets to be ready, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Mutex<Child>,
    output: Arc<Mutex<String>>,
    folder: TempDir,
    data: PathBuf,
}

impl Server {
    /// Starts a server whose policy directory holds this one file.
    pub(crate) fn with_policy(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start(policy, folder, data)
    }

    /// As [`Server::with_policy`], with the data directory elsewhere.
    pub(crate) fn with_policy_in(policy: &str, data: &Path) -> Self {
        Self::start(policy, tempfile::tempdir().unwrap(), data.to_owned())
    }

    fn start(policy: &str, folder: TempDir, data: PathBuf) -> Self {
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        if !policy.is_empty() {
            fs::write(policies.join("policy.rego"), policy).unwrap();
        }
        let output = Arc::new(Mutex::new(String::new()));
        let (child, url) = spawn(&mut dev(&policies, &data), &output);
        Self { url, child: Mutex::new(child), output, folder, data }
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    pub(crate) fn kill_9(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Has it load its policy again.
    pub(crate) fn hang_up(&self) {
        let pid = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// Its policy directory.
    pub(crate) fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// Starts it again on what it left behind.
    pub(crate) fn restart(&mut self) {
        let (child, url) = spawn(&mut dev(&self.policies(), &self.data), &self.output);
        self.child = Mutex::new(child);
        self.url = url;
    }

    /// The key of a role.
    pub(crate) fn key(&self, role: &str) -> String {
        let keys = fs::read(self.data.join("keys.json")).unwrap();
        let keys: Value = serde_json::from_slice(&keys).unwrap();
        keys[role].as_str().unwrap_or_else(|| panic!("no key of role {role}")).to_owned()
    }

    /// What it wrote to its standard output and error so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Every file of its data directory, as bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.data.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.clone(), fs::read(path).unwrap()));
                }
            }
        }
        files
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(child.kill());
        drop(child.wait());
    }
}

fn dev(policies: &Path, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--log", "json", "--data-dir"])
        .arg(data)
        .arg("--policies")
        .arg(policies);
    command
}

/// Starts a server; returns its address once it is ready.
pub(crate) fn spawn(command: &mut Command, output: &Arc<Mutex<String>>) -> (Child, String) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let errors = Arc::clone(output);
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut chunk) {
            errors.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
    });
    let lines = Arc::clone(output);
    let (ready, is_ready) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if let Some(url) = ready_url(&line) {
                drop(ready.send(url));
            }
            let mut output = lines.lock().unwrap();
            // A log of a load is not looked at, only kept from blocking the server.
            if output.len() < 1 << 20 {
                output.push_str(&line);
                output.push('\n');
            }
        }
    });
    let Ok(url) = is_ready.recv_timeout(START) else {
        drop(child.kill());
        panic!("the server is not ready:\n{}", output.lock().unwrap());
    };
    (child, url)
}

fn ready_url(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let ready = line["event"] == "server.ready";
    ready.then(|| line["metadata"]["url"].as_str().or(line["url"].as_str()).unwrap().to_owned())
}
