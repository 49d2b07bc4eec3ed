//! One replica: a process that is started, killed, paused and given another time.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::proxy::Proxy;

const START: Duration = Duration::from_secs(30);
/// How long a replica may take to end when it is asked to.
const END: Duration = Duration::from_secs(30);
const RESTART: Duration = Duration::from_millis(200);

/// Which program a replica is.
#[derive(Debug, Clone)]
pub(crate) enum Build {
    /// `sentinel serve`.
    Product,
    /// The same put together by this suite, with that fault in its store.
    Planted(String),
    /// The same put together by this suite, of the next version.
    Next,
}

/// What a replica runs.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) sentinel: PathBuf,
    pub(crate) build: Build,
    pub(crate) config: PathBuf,
    pub(crate) own_clock: bool,
}

impl Program {
    /// A command of `sentinel` on this configuration.
    pub(crate) fn cli(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.sentinel);
        command.args(args).arg("--config").arg(&self.config);
        command
    }

    /// The server; it ends with the thread that starts it.
    fn serve(&self, clock: &Path) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        match &self.build {
            Build::Product => {
                command.arg(&self.sentinel).arg("serve");
            }
            Build::Planted(fault) => {
                command.arg(std::env::current_exe()?).arg("replica");
                command.args(["--planted", fault]).arg("--sentinel").arg(&self.sentinel);
            }
            Build::Next => {
                command.arg(std::env::current_exe()?).arg("replica");
                command.arg("--next").arg("--sentinel").arg(&self.sentinel);
            }
        }
        command.arg("--config").arg(&self.config);
        if self.own_clock {
            let library = format!("/usr/lib/{ARCH}-linux-gnu/faketime/libfaketimeMT.so.1");
            ensure!(
                Path::new(&library).exists(),
                "`{library}` is needed; `scripts/install.sh test` installs it"
            );
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            command.env("DONT_FAKE_MONOTONIC", "1");
        }
        Ok(command)
    }
}

/// A replica and its ways to the database and to Redis.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) index: usize,
    pub(crate) url: String,
    pub(crate) program: Program,
    pub(crate) database: Proxy,
    pub(crate) redis: Proxy,
    home: PathBuf,
    child: Option<Child>,
}

impl Replica {
    pub(crate) fn new(
        index: usize,
        port: u16,
        home: PathBuf,
        program: Program,
        (database, redis): (Proxy, Proxy),
    ) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let replica = Self { index, url, program, database, redis, home, child: None };
        replica.set_clock(0)?;
        Ok(replica)
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.program.serve(&self.clock())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().context("`setpriv` can be run")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains("\"server.ready\"") {
                    return Ok(());
                }
            }
            bail!("replica {} ended before it was ready: {}", self.index, self.last_words())
        };
        timeout(START, ready).await.context("a replica does not start")??;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
        Ok(())
    }

    /// Starts it as a supervisor does: again, when it ends because the database is away.
    pub(crate) async fn supervise(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            match self.start().await {
                Err(_) if Instant::now() < deadline => sleep(RESTART).await,
                started => return started,
            }
        }
    }

    /// Ends it as `kill -9` does.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Asks it to end, as an orchestrator does, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        if let Some(mut child) = self.child.take() {
            let status = timeout(END, child.wait()).await.context("a replica does not end")??;
            ensure!(status.success(), "replica {} ended with {status}", self.index);
        }
        Ok(())
    }

    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.as_ref().and_then(Child::id).context("the replica is gone")?;
        let pid = Pid::from_raw(i32::try_from(id)?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Sets its clock so many hours off, for a replica that has its own.
    pub(crate) fn set_clock(&self, hours: i32) -> Result<()> {
        let new = self.home.join("clock.new");
        fs::write(&new, format!("{hours:+}h\n"))?;
        Ok(fs::rename(new, self.clock())?)
    }

    fn clock(&self) -> PathBuf {
        self.home.join("clock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
