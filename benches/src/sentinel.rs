//! Starts the product as its users do, `sentinel dev`, on a real disk.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{load::RequestHead, server::Server};

/// Calls a day that the benchmarked tool may get: more than a run makes, so that what is measured
/// is an allow that was counted.
const QUOTA: u64 = 1_000_000_000;

/// A running `sentinel dev` with a data folder of its own.
#[derive(Debug)]
pub(crate) struct Sentinel {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    keys: Value,
}

/// Where to find the product, and where it may write.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) binary: PathBuf,
    /// Policies as shipped.
    pub(crate) policies: PathBuf,
    /// Scratch folder on a real disk: on tmpfs, durability costs nothing.
    pub(crate) scratch: PathBuf,
}

impl Product {
    /// Starts it with an empty data folder called `name`.
    pub(crate) fn start(&self, name: &str) -> anyhow::Result<Sentinel> {
        self.start_with(name, &self.policies_with_room()?)
    }

    /// As [`Self::start`], with other policies.
    pub(crate) fn start_with(&self, name: &str, policies: &Path) -> anyhow::Result<Sentinel> {
        let data = self.scratch.join(name);
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        self.run(data, policies)
    }

    /// Starts it with the data folder that `name` has already.
    pub(crate) fn start_again(&self, name: &str) -> anyhow::Result<Sentinel> {
        self.run(self.scratch.join(name), &self.policies_with_room()?)
    }

    fn run(&self, data: PathBuf, policies: &Path) -> anyhow::Result<Sentinel> {
        // The server makes its data folder itself, closed to others.
        fs::create_dir_all(&self.scratch)?;
        let mut command = Command::new(&self.binary);
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--log", "json", "--data-dir"])
            .arg(&data)
            .arg("--policies")
            .arg(policies)
            .stderr(Stdio::inherit());
        let (server, address) = Server::start(command, ready_address)?;
        let keys = fs::read(data.join("keys.json")).context("the server wrote no keys.json")?;
        Ok(Sentinel { server, address, data, keys: serde_json::from_slice(&keys)? })
    }

    /// The shipped policies, with a quota that a benchmark does not use up.
    pub(crate) fn policies_with_room(&self) -> anyhow::Result<PathBuf> {
        let folder = self.scratch.join("policies");
        copy_folder(&self.policies, &folder)?;
        let path = find_data(&folder)?;
        let mut data: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let quota = data
            .pointer_mut("/quotas/platform-eng/langsmith-docs-search")
            .context("the shipped policies have no quota for `langsmith-docs-search`")?;
        *quota = QUOTA.into();
        fs::write(&path, serde_json::to_vec_pretty(&data)?)?;
        Ok(folder)
    }
}

impl Sentinel {
    /// The head of a request with the key of `role`.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        role: &str,
    ) -> anyhow::Result<RequestHead> {
        let key = self.keys.get(role).and_then(Value::as_str);
        let key = key.with_context(|| format!("keys.json has no key of role `{role}`"))?;
        Ok(RequestHead::new(method, path, &self.address.to_string())
            .header("content-type", "application/json")
            .header("authorization", &format!("Bearer {key}")))
    }
}

pub(crate) fn ready_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line.get("event")? != "server.ready" {
        return None;
    }
    let url = line.pointer("/metadata/url").or(line.get("url"))?.as_str()?;
    url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no folder {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if !target.to_string_lossy().ends_with("_test.rego") {
            // Tests of the shipped data would speak against the changed one.
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn find_data(folder: &Path) -> anyhow::Result<PathBuf> {
    let candidates = [folder.join("data.json"), folder.join("sentinel/data.json")];
    let found = candidates.into_iter().find(|path| path.exists());
    found.context("the shipped policies have no data.json")
}
