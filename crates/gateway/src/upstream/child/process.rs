//! Starts a child in a process group of its own, and sees to it that the group ends.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::Failure;
use super::super::board::Board;
use super::super::spec::Secret;
use super::watchdog;

/// Variables that say who and where a process is. No others of ours reach a child: they may be
/// secrets.
const INHERITED: [&str; 10] =
    ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];
/// How long a child that is to end at once may take after SIGTERM.
const AT_ONCE: Duration = Duration::from_millis(30);
/// How long the output of a child that has ended may still be read. It ends by itself, unless a
/// process that left the group holds it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a child is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Running,
    /// Closed standard input, SIGTERM and SIGKILL, with time in between.
    Orderly,
    /// A kill covers a call that it carries out.
    AtOnce,
}

/// A child that runs. It is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    ending: watch::Sender<Ending>,
    ended: CancellationToken,
}

/// What a child reads and writes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    pub(super) ending: watch::Receiver<Ending>,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        command: &[String],
        env: &[(String, Secret)],
        grace: Duration,
        board: Arc<Board>,
    ) -> Result<(Self, Pipes), Failure> {
        let mut child = spawn(command, env)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (Some(group), Some(stdin), Some(stdout), Some(stderr)) =
            (group, child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failure("the server ended at once"));
        };
        watchdog::watch(group);
        let (ending, asked) = watch::channel(Ending::Running);
        let ended = CancellationToken::new();
        let pipes = Pipes { stdin, stdout, stderr, ending: asked.clone() };
        let reaper = Reaper { child, group, asked, grace, board };
        // Ends with the child, which ends when `ending` is dropped.
        tokio::spawn(reaper.run(ended.clone().drop_guard()));
        Ok((Self { ending, ended }, pipes))
    }

    pub(super) fn end(&self, how: Ending) {
        self.ending.send_if_modified(|ending| {
            let sooner = *ending == Ending::Running || how == Ending::AtOnce;
            if sooner {
                *ending = how;
            }
            sooner
        });
    }

    /// Whether it has not been asked to end.
    pub(super) fn is_running(&self) -> bool {
        *self.ending.borrow() == Ending::Running
    }

    /// Completes when the group has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

fn spawn(command: &[String], env: &[(String, Secret)]) -> Result<Child, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(failure("the command of the server is empty"));
    };
    let inherited = INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(inherited)
        .envs(env.iter().map(|(name, value)| (name, OsString::from(value.reveal()))))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().map_err(|error| {
        failure(&format!("the command of the server could not be started: {}", error.kind()))
    })
}

fn failure(detail: &str) -> Failure {
    Failure { code: "upstream_unavailable", detail: detail.to_owned(), may_have_run: false }
}

/// Completes when the child is to end.
pub(super) async fn asked_to_end(asked: &mut watch::Receiver<Ending>) {
    // An error means that the wire was dropped.
    drop(asked.wait_for(|ending| *ending != Ending::Running).await);
}

struct Reaper {
    child: Child,
    group: Pid,
    asked: watch::Receiver<Ending>,
    grace: Duration,
    board: Arc<Board>,
}

impl Reaper {
    async fn run(mut self, ended: tokio_util::sync::DropGuard) {
        let by_itself = tokio::select! {
            _ = self.child.wait() => true,
            () = asked_to_end(&mut self.asked) => false,
        };
        if !by_itself {
            self.end().await;
        }
        // Whatever the server started itself goes with it.
        self.signal(Signal::KILL);
        watchdog::forget(self.group);
        drop(tokio::time::timeout(LAST_WORDS, self.board.ended()).await);
        self.board.close("the server has ended");
        drop(ended);
    }

    /// The standard input has been closed by the task that writes to it.
    async fn end(&mut self) {
        if !self.at_once() && self.ends_within(self.grace).await {
            return;
        }
        self.signal(Signal::TERM);
        let patience = if self.at_once() { AT_ONCE } else { self.grace };
        if self.ends_within(patience).await {
            return;
        }
        self.signal(Signal::KILL);
        drop(self.child.wait().await);
    }

    fn at_once(&self) -> bool {
        *self.asked.borrow() == Ending::AtOnce
    }

    /// Whether the child ends before the time is over, or before it is to end at once.
    async fn ends_within(&mut self, patience: Duration) -> bool {
        let hurry = self.at_once();
        tokio::select! {
            _ = self.child.wait() => true,
            () = tokio::time::sleep(patience) => false,
            Ok(_) = self.asked.wait_for(|ending| *ending == Ending::AtOnce), if !hurry => false,
        }
    }

    fn signal(&self, signal: Signal) {
        // It fails when the group has ended already.
        let _ = kill_process_group(self.group, signal);
    }
}
