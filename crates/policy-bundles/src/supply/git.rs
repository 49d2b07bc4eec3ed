//! A policy directory in a Git repository, by the `git` program.
//!
//! What a repository says is not trusted: no hook of it runs, no configuration of the machine or
//! the user applies, nothing asks for a password, and no protocol is spoken but the one of the
//! address. Nothing is checked out: the files come as an archive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::source::{BundleSource, Candidate, FetchError, Fetched};
use crate::archive::BundleLimits;
use crate::bundle::Bundle;

/// For one command of `git`.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Where the commit is put that is looked at.
const CANDIDATE: &str = "refs/sentinel/candidate";
/// Messages of `git` are cut.
const MAX_MESSAGE: u64 = 16 * 1024;
/// Before what `git` itself said.
const SAYS: &str = "`git`: ";
/// What `git`, a server of it or `ssh` says of a repository that is not there, or that we may not
/// read. A server gives the same message for both, so that it does not reveal what it has.
const NO_REPOSITORY: [&str; 6] = [
    "does not appear to be a git repository",
    "not found",
    "Authentication failed",
    "Permission denied",
    "returned error: 401",
    "returned error: 403",
];
/// What `git` says after the cause.
const NO_CAUSE: [&str; 3] = [
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
];

#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) url: String,
    /// A branch or a tag.
    pub(super) reference: String,
    /// The directory in the repository; empty for all of it.
    pub(super) folder: String,
}

#[derive(Debug)]
pub(super) struct GitSource {
    remote: Remote,
    /// A copy of the last commit, and nothing of it checked out.
    dir: PathBuf,
    token_file: Option<PathBuf>,
    allowed_signers: Option<PathBuf>,
    max_bytes: u64,
}

impl GitSource {
    pub(super) fn new(
        remote: Remote,
        dir: PathBuf,
        token_file: Option<PathBuf>,
        allowed_signers: Option<PathBuf>,
        max_bytes: u64,
    ) -> Self {
        Self { remote, dir, token_file, allowed_signers, max_bytes }
    }

    /// The commit that the branch or tag is at.
    async fn remote_commit(&self) -> Result<(String, String), FetchError> {
        let name = &self.remote.reference;
        let (branch, tag) = (format!("refs/heads/{name}"), format!("refs/tags/{name}"));
        let peeled = format!("{tag}^{{}}");
        let args = ["ls-remote", "--", &self.remote.url, &branch, &tag, &peeled];
        let listed = self.git(&args, MAX_MESSAGE).await.map_err(|error| match error {
            FetchError::Away(why) if NO_REPOSITORY.iter().any(|known| why.contains(known)) => {
                FetchError::Away(format!(
                    "there is no repository at `{}`, or no right to read it",
                    self.remote.url
                ))
            }
            other => other,
        })?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let lines: Vec<_> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
        let of = |wanted: &str| {
            let found = lines.iter().find(|(_, name)| *name == wanted);
            found.map(|(commit, _)| (*commit).to_owned())
        };
        // An annotated tag names itself first, and its commit then.
        let tagged = of(&peeled).or_else(|| of(&tag)).map(|commit| (commit, tag.clone()));
        match (of(&branch), tagged) {
            (Some(_), Some(_)) => {
                Err(FetchError::Away(format!("`{name}` is a branch and a tag; rename one of them")))
            }
            (Some(commit), None) => Ok((commit, branch)),
            (None, Some(found)) => Ok(found),
            (None, None) => {
                Err(FetchError::Away(format!("the repository has no branch or tag `{name}`")))
            }
        }
    }

    /// Fetches the commit and returns it: it may have moved on meanwhile.
    async fn bring(&self, reference: &str) -> Result<String, FetchError> {
        let into = format!("+{reference}:{CANDIDATE}");
        self.git(&["init", "--quiet", "--bare", "."], MAX_MESSAGE).await?;
        let fetch = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
            &self.remote.url,
            &into,
        ];
        self.git(&fetch, MAX_MESSAGE).await?;
        let commit = format!("{CANDIDATE}^{{commit}}");
        let commit = self.git(&["rev-parse", "--verify", "--quiet", &commit], MAX_MESSAGE).await?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        if let Some(signers) = &self.allowed_signers {
            let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
            let verify = ["-c", &signers, "verify-commit", "--", &commit];
            // The reason is left out: that it is not signed, or that it could not be verified, is
            // all the same.
            self.git(&verify, MAX_MESSAGE).await.map_err(|_| {
                FetchError::Untrusted(format!(
                    "commit `{commit}` is not signed by an allowed signer"
                ))
            })?;
        }
        Ok(commit)
    }

    /// The files at a commit: a bundle, and the tests beside it.
    async fn pack(&self, commit: &str) -> Result<(Vec<u8>, BTreeMap<String, String>), FetchError> {
        let folder = &self.remote.folder;
        let tree = format!("{commit}:{folder}");
        let kind = match self.git(&["cat-file", "-t", &tree], MAX_MESSAGE).await {
            Err(FetchError::Away(why)) if why.starts_with(SAYS) => Vec::new(),
            kind => kind?,
        };
        if kind.trim_ascii() != b"tree" {
            return Err(FetchError::Away(format!("commit `{commit}` has no directory `{folder}`")));
        }
        let limits = BundleLimits { max_bytes: self.max_bytes, ..BundleLimits::default() };
        let most = self.max_bytes.saturating_mul(2);
        let tar = self.git(&["archive", "--format=tar", &tree], most).await?;
        let (bundle, tests) = Bundle::from_repository(&tar, &limits).map_err(FetchError::new)?;
        Ok((bundle.write(None).map_err(FetchError::new)?, tests))
    }

    async fn git(&self, args: &[&str], most: u64) -> Result<Vec<u8>, FetchError> {
        std::fs::create_dir_all(&self.dir).map_err(FetchError::new)?;
        let mut command = Command::new("git");
        command.current_dir(&self.dir).env_clear();
        for name in ["PATH", "HOME", "SSH_AUTH_SOCK"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("GIT_DIR", &self.dir)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS", "true")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C");
        let scheme = self.remote.url.split(':').next().unwrap_or_default();
        command.env("GIT_ALLOW_PROTOCOL", scheme);
        if let Some(path) = &self.token_file {
            let token = std::fs::read_to_string(path)
                .map_err(|error| FetchError::Away(format!("cannot read the token: {error}")))?;
            // In the environment, since arguments are for all to see. Any name goes with a token.
            let login = STANDARD.encode(format!("git:{}", token.trim()));
            command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", "http.extraHeader")
                .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {login}"));
        }
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "credential.helper=",
            "http.followRedirects=false",
            "fetch.fsckObjects=true",
            "protocol.version=2",
            "gc.auto=0",
            // Only signatures by SSH keys are looked at: the others know keys of this machine.
            "gpg.program=false",
            "gpg.openpgp.program=false",
            "gpg.x509.program=false",
            "gpg.minTrustLevel=fully",
        ] {
            command.args(["-c", setting]);
        }
        command.args(args);
        run(command, most).await
    }
}

/// Runs a command for a bounded time, and ends all that it has started.
async fn run(mut command: Command, most: u64) -> Result<Vec<u8>, FetchError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| FetchError::Away(format!("cannot run `git`: {error}")))?;
    let group = Group(child.id());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::try_join!(read(out, most.saturating_add(1)), read(err, MAX_MESSAGE)) };
    let Ok(read) = tokio::time::timeout(TIMEOUT, all).await else {
        drop(group);
        return Err(FetchError::Away(format!("`git` took more than {} s", TIMEOUT.as_secs())));
    };
    let (out, messages) = read.map_err(FetchError::new)?;
    if out.len() as u64 > most {
        drop(group);
        return Err(FetchError::new("the repository is too large"));
    }
    let status = child.wait().await.map_err(FetchError::new)?;
    group.disarm();
    if status.success() {
        return Ok(out);
    }
    let message = String::from_utf8_lossy(&messages);
    let mut lines = message.lines().map(str::trim).rev();
    let last = lines.find(|line| !line.is_empty() && !NO_CAUSE.contains(line));
    Err(FetchError::Away(match last {
        Some(line) => format!("{SAYS}{line}"),
        None => format!("`git` ended with {status}"),
    }))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// A group of processes that ends when this is dropped.
struct Group(Option<u32>);

impl Group {
    /// All of it has ended.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(rustix::process::Pid::from_raw) {
            // One that has ended already is not a failure.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[async_trait]
impl BundleSource for GitSource {
    async fn fetch(&self, known: Option<&str>) -> Result<Fetched, FetchError> {
        let (commit, reference) = self.remote_commit().await?;
        if known == Some(&commit) {
            return Ok(Fetched::Unchanged);
        }
        let commit = self.bring(&reference).await?;
        let (bytes, tests) = self.pack(&commit).await?;
        let revision = Some(format!("git:{commit}"));
        Ok(Fetched::Bundle(Candidate { bytes, tag: Some(commit), revision, tests }))
    }
}
