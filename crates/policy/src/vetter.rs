//! The vetting process: nothing decides, and nothing is even parsed, that a sacrificial process has
//! not survived. [`sentinel_policy_analysis::vet`] says what it looks at.

mod stream;

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use sentinel_policy_analysis::interpreter::STACK;
use sentinel_policy_analysis::vet::{MAX_FINDINGS, RunTests, Vetted, examine};
use sentinel_policy_analysis::{AnalysisError, Finding, Lint, PolicySource, SourceLimits};
use serde::{Deserialize, Serialize};

pub use self::stream::run_stream;
use crate::error::LoadError;

/// In place of a directory: the policy comes by standard input. No directory is called so, since
/// those are given by their absolute paths.
const FROM_INPUT: &str = "-";
/// Of processor time, in seconds.
const CPU_SECONDS: u64 = 20;
const ADDRESS_SPACE: u64 = 4 * 1024 * 1024 * 1024;
/// A verdict is one line; findings are bounded in number and size.
const MAX_VERDICT: u64 = 1024 * 1024;

/// How to start the vetting process: `command args… DIR`, which must call [`run_child`]. In place
/// of a directory, [`FROM_INPUT`] says that the policy comes by its input.
#[derive(Debug, Clone)]
pub struct Vetter {
    pub command: PathBuf,
    pub args: Vec<OsString>,
    /// Wall-clock time until the process is killed.
    pub timeout: Duration,
}

/// The one line that the vetting process prints.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    /// Of what was vetted.
    digest: String,
    /// Why it could not be vetted.
    error: Option<String>,
    /// Errors first. Those refuse the policy.
    findings: Vec<Finding>,
}

impl Vetter {
    /// The running program as its own vetter: `sentinel policy vet-child DIR`.
    ///
    /// # Errors
    /// When the program cannot find itself.
    pub fn own() -> std::io::Result<Self> {
        Ok(Self {
            command: std::env::current_exe()?,
            args: vec!["policy".into(), "vet-child".into()],
            timeout: Duration::from_secs(10),
        })
    }

    /// Reads a directory and has it vetted.
    ///
    /// # Errors
    /// When it cannot be read, the vetting process refuses it or does not survive it, or the files
    /// change meanwhile.
    pub fn vet(&self, dir: &Path, limits: &SourceLimits) -> Result<Vetted, LoadError> {
        let (source, verdict) = self.look_at(dir, limits)?;
        Self::judge(source, verdict)
    }

    /// The same for a policy that somebody works on: that its own tests fail is a warning.
    ///
    /// # Errors
    /// As [`Vetter::vet`].
    pub fn vet_draft(&self, dir: &Path, limits: &SourceLimits) -> Result<Vetted, LoadError> {
        let (source, mut verdict) = self.look_at(dir, limits)?;
        let (tests, others): (Vec<_>, _) = std::mem::take(&mut verdict.findings)
            .into_iter()
            .partition(|finding| finding.lint == Lint::FailingTest);
        verdict.findings = others;
        Ok(Self::judge(source, verdict)?.with_warnings(tests))
    }

    fn look_at(
        &self,
        dir: &Path,
        limits: &SourceLimits,
    ) -> Result<(PolicySource, Verdict), LoadError> {
        // Absolute, so that no name of a directory is taken for an option.
        let dir = std::path::absolute(dir)
            .map_err(|source| AnalysisError::Io { path: dir.to_owned(), source })?;
        let source = PolicySource::read(&dir, limits)?;
        let verdict = self.of(&source)?;
        Ok((source, verdict))
    }

    /// The process gets what was read: what it would find in the directory may be something else by
    /// then, and would be read without what is stated beside it.
    fn of(&self, source: &PolicySource) -> Result<Verdict, LoadError> {
        let input = serde_json::to_vec(source)
            .map_err(|error| LoadError::VettingFailed(error.to_string()))?;
        self.ask(OsStr::new(FROM_INPUT), Some(input))
    }

    /// Has a policy vetted that is in no directory.
    ///
    /// # Errors
    /// When the vetting process refuses it or does not survive it.
    pub fn vet_source(&self, source: PolicySource) -> Result<Vetted, LoadError> {
        let verdict = self.of(&source)?;
        Self::judge(source, verdict)
    }

    fn judge(source: PolicySource, verdict: Verdict) -> Result<Vetted, LoadError> {
        if let Some(error) = verdict.error {
            return Err(LoadError::Vetoed(error));
        }
        if verdict.findings.iter().any(Finding::is_error) {
            return Err(LoadError::Refused(verdict.findings));
        }
        if verdict.digest != source.digest() {
            return Err(LoadError::Changed);
        }
        Ok(Vetted::passed(source, verdict.findings))
    }

    fn ask(&self, dir: &OsStr, input: Option<Vec<u8>>) -> Result<Verdict, LoadError> {
        // The policy under test has no business with the secrets in this process's environment.
        let mut child = Command::new(&self.command)
            .args(&self.args)
            .arg(dir)
            .env_clear()
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| LoadError::Vetter { command: self.command.clone(), source })?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            // A child that ends early takes no more; its verdict, or the lack of one, says why.
            let write = move || drop(pipe.write_all(&input));
            drop(std::thread::Builder::new().name("policy-vet-input".to_owned()).spawn(write));
        }
        let line = read_output(&mut child, self.timeout);
        // It has answered, ended or run out of time; whatever it still does is of no interest.
        if line.is_none() {
            drop(child.kill());
        }
        let status = child.wait();
        let Some(line) = line else {
            let detail = format!("took longer than {} s", self.timeout.as_secs_f32());
            return Err(LoadError::VettingFailed(detail));
        };
        serde_json::from_str(&line)
            .map_err(|_| LoadError::VettingFailed(status.map_or_else(|e| e.to_string(), ended)))
    }
}

/// All that the child prints; `None` when it takes too long.
fn read_output(child: &mut Child, timeout: Duration) -> Option<String> {
    let mut output = child.stdout.take()?.take(MAX_VERDICT);
    let (sender, receiver) = channel();
    std::thread::Builder::new()
        .name("policy-vet".to_owned())
        .spawn(move || {
            let mut text = String::new();
            // An error leaves less text than a verdict has, which is refused.
            drop(output.read_to_string(&mut text));
            drop(sender.send(text));
        })
        .ok()?;
    match receiver.recv_timeout(timeout) {
        Ok(text) => Some(text),
        Err(RecvTimeoutError::Disconnected) => Some(String::new()),
        Err(RecvTimeoutError::Timeout) => None,
    }
}

fn ended(status: ExitStatus) -> String {
    const SIGABRT: i32 = 6;
    const SIGKILL: i32 = 9;
    const SIGSEGV: i32 = 11;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGABRT | SIGSEGV) => "crashed: it overflowed the stack or took all memory".to_owned(),
        Some(SIGXCPU | SIGKILL) => format!("took more than {CPU_SECONDS} s of processor time"),
        Some(signal) => format!("ended by signal {signal}"),
        None => format!("ended without a verdict ({status})"),
    }
}

/// The vetting process: limits itself, vets the policy in `dir`, and prints one line of JSON. To be
/// called by a hidden subcommand of the program, before it starts anything else.
#[must_use]
pub fn run_child(dir: &Path, run_tests: RunTests) -> ExitCode {
    let dir = dir.to_owned();
    let verdict = limit_resources(CPU_SECONDS).and_then(|()| {
        let vetting = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || verdict(&dir, run_tests))?;
        vetting.join().map_err(|_| std::io::Error::other("vetting panicked"))
    });
    let Ok(line) = verdict.and_then(|verdict| Ok(serde_json::to_string(&verdict)?)) else {
        return ExitCode::FAILURE;
    };
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn limit_resources(cpu_seconds: u64) -> std::io::Result<()> {
    let limit = |resource, value| {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(resource, limit).map_err(std::io::Error::from)
    };
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Cpu, cpu_seconds)?;
    limit(Resource::As, ADDRESS_SPACE)
}

fn verdict(dir: &Path, run_tests: RunTests) -> Verdict {
    let source = if dir == Path::new(FROM_INPUT) {
        match serde_json::from_reader(std::io::stdin().lock()) {
            Ok(source) => Ok(source),
            Err(error) => return Verdict::failed(error.to_string()),
        }
    } else {
        PolicySource::read(dir, &UNBOUNDED)
    };
    match source {
        Ok(source) => Verdict::of(&source, run_tests),
        Err(error) => Verdict::of_error(String::new(), &error),
    }
}

impl Verdict {
    fn of(source: &PolicySource, run_tests: RunTests) -> Self {
        let digest = source.digest().to_owned();
        match examine(source, run_tests) {
            Ok(findings) => Self { digest, error: None, findings },
            Err(error) => Self::of_error(digest, &error),
        }
    }

    fn of_error(digest: String, error: &AnalysisError) -> Self {
        let mut findings = error.findings();
        findings.truncate(MAX_FINDINGS);
        let error = findings.is_empty().then(|| error.to_string());
        Self { digest, error, findings }
    }

    /// Of a policy that could not be looked at.
    fn failed(error: String) -> Self {
        Self { digest: String::new(), error: Some(error), findings: Vec::new() }
    }
}

/// The server has applied its own limits already, and compares the digest of what it read.
const UNBOUNDED: SourceLimits =
    SourceLimits { max_files: u64::MAX, max_bytes: u64::MAX, max_depth: 64, v0_compatible: false };
