//! Finds the control plane of a user, and starts it when there is none.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sentinel_core::principal::Role;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::lease::Lease;
use super::place::Place;
use crate::dev::keys;
use crate::failure::{Failure, OrFail as _, Outcome};

/// The longest that a control plane may take to start, and a wrap waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// The log is begun again when it is longer. Bytes.
const MAX_LOG: u64 = 4 * 1024 * 1024;
/// Bytes of the end of the log that are shown when a start fails.
const SHOWN: u64 = 1024;

/// What a running control plane says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    #[serde(serialize_with = "write_url", deserialize_with = "read_url")]
    pub(crate) url: Url,
    pub(crate) pid: u32,
}

fn write_url<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(serde::de::Error::custom)
}

/// The control plane that runs; `None` when there is none.
///
/// # Errors
/// When it cannot be found out.
pub(crate) fn find(place: &Place) -> Outcome<Option<Running>> {
    let lock = place.lock_of_control_plane();
    let is_held = Lease::is_held(&lock).or_fail(|| format!("cannot use `{}`", lock.display()))?;
    if !is_held {
        return Ok(None);
    }
    // Until it is written, the control plane is about to start.
    let text = std::fs::read_to_string(place.running());
    Ok(text.ok().and_then(|text| serde_json::from_str(&text).ok()))
}

/// The control plane that runs, started if there was none, and the key of agents for it.
///
/// # Errors
/// When it does not start in time.
pub(crate) async fn find_or_start(place: &Place) -> Outcome<(Running, String)> {
    let started = Instant::now();
    let lock = place.lock_of_start();
    while started.elapsed() < PATIENCE {
        if let Some(running) = find(place)? {
            return Ok((running, key(place)?));
        }
        let lease = Lease::alone(&lock).or_fail(|| format!("cannot use `{}`", lock.display()))?;
        if let Some(_one_at_a_time) = lease
            && find(place)?.is_none()
        {
            begin(place).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::new("the control plane of this user did not start in time")
        .help(format!("its log is {}", place.log().display())))
}

fn key(place: &Place) -> Outcome<String> {
    let path = place.data_dir().keys();
    let found = keys::read(&path)?.and_then(|mut keys| keys.remove(&Role::Agent));
    found.ok_or_else(|| Failure::new(format!("`{}` has no key for agents", path.display())))
}

/// Starts a control plane, and waits until it says where it is.
async fn begin(place: &Place) -> Outcome {
    let mut child = spawn(place)?;
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if find(place)?.is_some() {
            // It goes on by itself; this process need not wait for it.
            return Ok(());
        }
        let doing = || "cannot wait for the control plane".to_owned();
        if let Some(status) = child.try_wait().or_fail(doing)? {
            // Another may have been started by hand, or be about to end.
            if find(place)?.is_some() {
                return Ok(());
            }
            let failure = Failure::new(format!("the control plane ended at once ({status})"));
            return Err(end_of_log(&place.log()).lines().fold(failure, Failure::detail));
        }
        tokio::time::sleep(PAUSE).await;
    }
    drop(child.kill());
    Ok(())
}

fn spawn(place: &Place) -> Outcome<Child> {
    let doing = || "cannot start the control plane".to_owned();
    let program = std::env::current_exe().or_fail(doing)?;
    let log = open_log(&place.log()).or_fail(doing)?;
    let mut command = Command::new(program);
    command
        .args(["mcp", "control-plane", "--data-dir"])
        .arg(place.path())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().or_fail(doing)?)
        .stderr(log);
    // What a client gives the server that is wrapped is not for the control plane.
    let is_needed = |name: &str| matches!(name, "HOME" | "PATH" | "TMPDIR" | "LANG" | "USER");
    command.env_clear();
    command.envs(crate::environment::variables().filter(|(name, _)| is_needed(name)));
    command.spawn().or_fail(doing)
}

fn open_log(path: &Path) -> io::Result<File> {
    let is_long = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_LOG);
    if is_long {
        std::fs::remove_file(path)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn end_of_log(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
        let mut text = Vec::new();
        file.take(SHOWN).read_to_end(&mut text)?;
        Ok(text)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
