//! Servers under test as child processes, and what they take of the machine.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

/// Longest time from a server's start to the line that says it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A running child process, killed (`SIGKILL`) and reaped on drop.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Whether it leads a process group of its own, which ends with it.
    leads: bool,
    time_to_ready: Duration,
}

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Now (`VmRSS`).
    pub(crate) resident: u64,
    /// The most it ever was (`VmHWM`).
    pub(crate) peak: u64,
}

/// What a server takes besides CPU.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ProcessFigures {
    pub(crate) time_to_ready: Duration,
    /// Ready, before any request.
    pub(crate) idle: Memory,
    /// After the load, connections closed.
    pub(crate) loaded: Memory,
}

impl Server {
    /// Starts `command` and waits until `ready` makes something of a line of its standard output:
    /// the address it listens on, or whatever else it prints there that the caller needs.
    /// Standard error is left as `command` has it.
    ///
    /// # Errors
    /// When the process cannot be started, ends before it is ready, or takes over 30 s.
    pub(crate) fn start<T>(
        command: Command,
        ready: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<(Self, T)> {
        Self::spawn(READY_TIMEOUT, command, false, ready)
    }

    /// As [`Self::start`], for a server that takes longer and has child processes of its own.
    pub(crate) fn start_group<T>(
        patience: Duration,
        mut command: Command,
        ready: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<(Self, T)> {
        command.process_group(0);
        Self::spawn(patience, command, true, ready)
    }

    fn spawn<T>(
        patience: Duration,
        mut command: Command,
        leads: bool,
        ready: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<(Self, T)> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{name}`"))?;
        // From here on, every way out kills the child.
        let mut server = Self { child, leads, time_to_ready: Duration::ZERO };
        let stdout = server.child.stdout.take().context("the child has no standard output")?;
        let lines = read_lines(stdout);
        loop {
            let left = patience.saturating_sub(started.elapsed());
            match lines.recv_timeout(left) {
                Ok((line, read_at)) => {
                    if let Some(value) = ready(&line) {
                        server.time_to_ready = read_at.duration_since(started);
                        return Ok((server, value));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("`{name}` was not ready within {patience:?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = server.child.wait()?;
                    return Err(anyhow!("`{name}` ended before it was ready: {status}"));
                }
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From just before the process was started to reading the line that said it is ready.
    pub(crate) fn time_to_ready(&self) -> Duration {
        self.time_to_ready
    }

    /// # Errors
    /// When the process has ended.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        memory_of(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // These fail only when the processes have already ended.
        if self.leads {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines and when each was read. The thread reads on after the receiver is gone, so that a server
/// that prints more never blocks on a full pipe; it ends with the process.
fn read_lines(stdout: ChildStdout) -> mpsc::Receiver<(String, Instant)> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send((line, Instant::now()));
        }
    });
    receiver
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Memory { resident: bytes("VmRSS")?, peak: bytes("VmHWM")? })
}

/// # Errors
/// When the process has ended.
pub(crate) fn memory_of(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_memory(&status).context("the process has no memory: it has ended")
}

/// CPU time that a process has used so far, user and system, to 10 ms.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("no process {pid}"))?;
    Ok(from_ticks(parse_cpu_ticks(&stat).context("unexpected /proc/PID/stat")?))
}

/// CPU time that the whole machine has used so far, interrupts included, to 10 ms a core.
///
/// # Errors
/// When `/proc/stat` cannot be read.
pub(crate) fn machine_cpu_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    Ok(from_ticks(parse_machine_ticks(&stat).context("unexpected /proc/stat")?))
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The first line, all cores: user, nice, system, *idle*, *iowait*, irq, softirq, …
fn parse_machine_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let ticks: Option<Vec<u64>> = fields.take(7).map(|field| field.parse().ok()).collect();
    match *ticks? {
        [user, nice, system, _, _, irq, softirq] => Some(user + nice + system + irq + softirq),
        _ => None,
    }
}

/// `utime` + `stime`: fields 14 and 15. The second field, the name, may itself contain spaces and
/// parentheses, so fields are counted from the last `)`.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn starts_at_the_ready_line_and_kills_on_drop() {
        let script = "echo starting; echo ready 42; exec sleep 60";
        let (server, value) = Server::start(shell(script), |line| {
            line.strip_prefix("ready ").and_then(|rest| rest.parse::<u32>().ok())
        })
        .unwrap();
        assert_eq!(value, 42);
        assert!(server.time_to_ready() > Duration::ZERO);
        let memory = server.memory().unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        let pid = server.pid();
        cpu_time(pid).unwrap();
        drop(server);
        assert!(cpu_time(pid).is_err(), "the process is still there");
    }

    #[test]
    fn a_group_ends_as_a_whole() {
        let script = "sleep 60 & echo $!; wait";
        let (server, child) =
            Server::start_group(READY_TIMEOUT, shell(script), |line| line.parse::<u32>().ok())
                .unwrap();
        cpu_time(child).unwrap();
        drop(server);
        // Its new parent may not have reaped it yet.
        let gone = || {
            fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |s| s.contains(") Z "))
        };
        assert!((0..100).any(|_| gone() || {
            thread::sleep(Duration::from_millis(20));
            false
        }));
    }

    #[test]
    fn an_end_before_ready_is_an_error_with_the_status() {
        let error = Server::start(shell("echo no; exit 3"), |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Server::start(Command::new("/no/such/server"), |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("`/no/such/server`"), "{error}");
    }

    #[test]
    fn cpu_fields_are_counted_after_a_hostile_name() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194560 9 0 0 0 31 11 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_cpu_ticks(stat), Some(42));
        assert_eq!(parse_cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_machine_is_not_busy_when_idle() {
        let stat = "cpu  1 2 4 1000 1000 8 16 1000 1000 1000\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_machine_ticks(stat), Some(31));
        assert_eq!(parse_machine_ticks("cpu  1 2\n"), None);
        assert!(machine_cpu_time().unwrap() > Duration::ZERO);
    }
}
