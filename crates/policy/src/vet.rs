//! Vetting: nothing decides, and nothing is even parsed, that a sacrificial process has not
//! survived.
//!
//! A policy can take its interpreter down: rules that refer to each other overflow the stack and abort
//! the process, some text is parsed for longer than anyone waits, a long range takes all memory. So a child
//! process with resource limits parses the candidate, checks what can be checked from its text, and
//! evaluates it on a few inputs. [`crate::stack`] says what keeps a policy within the stacks of the
//! server.

mod stream;

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use sentinel_core::policy::PolicyError;
use serde::{Deserialize, Serialize};

use crate::ast::Span;
use crate::build::{Built, Include, Shape, build};
use crate::embedded::answers;
use crate::error::LoadError;
use crate::finding::{Finding, Lint, Severity};
use crate::ground::prepare;
use crate::source::{PolicySource, SourceLimits};
use crate::stack::STACK;
use crate::test_runner::{self, Outcome, TestResult};
use crate::{builtins, depend, graph, lint, names};

pub use stream::run_stream;

/// In place of a directory: the policy comes by standard input. No directory is called so, since
/// those are given by their absolute paths.
const FROM_INPUT: &str = "-";
/// Of processor time, in seconds.
const CPU_SECONDS: u64 = 20;
const ADDRESS_SPACE: u64 = 4 * 1024 * 1024 * 1024;
/// A verdict is one line; findings are bounded in number and size.
const MAX_VERDICT: u64 = 1024 * 1024;
const MAX_FINDINGS: usize = 100;
/// What one rule may take on an input of the vetter.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// A policy that has been vetted, or is trusted: the evidence that building it is safe.
#[derive(Debug, Clone)]
pub struct Vetted {
    source: PolicySource,
    warnings: Vec<Finding>,
}

impl Vetted {
    /// Takes a policy on trust: one that is compiled into the program, or written by a test.
    #[must_use]
    pub fn trusted(source: PolicySource) -> Self {
        Self { source, warnings: Vec::new() }
    }

    #[must_use]
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// What vetting found that does not speak against loading it.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }
}

/// How to start the vetting process: `command args… DIR`, which must call [`run_child`]. In place of
/// a directory, [`FROM_INPUT`] says that the policy comes by its input.
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
    /// Errors first. Those speak against it.
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
        let mut vetted = Self::judge(source, verdict)?;
        vetted.warnings.extend(tests);
        Ok(vetted)
    }

    fn look_at(
        &self,
        dir: &Path,
        limits: &SourceLimits,
    ) -> Result<(PolicySource, Verdict), LoadError> {
        // Absolute, so that no name of a directory is taken for an option.
        let dir = std::path::absolute(dir)
            .map_err(|source| LoadError::Io { path: dir.to_owned(), source })?;
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
        if verdict.findings.iter().any(is_error) {
            return Err(LoadError::Refused(verdict.findings));
        }
        if verdict.digest != source.digest() {
            return Err(LoadError::Changed);
        }
        Ok(Vetted { source, warnings: verdict.findings })
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
            // A child that ends early takes no more; its verdict, or the lack of one, tells.
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
pub fn run_child(dir: &Path) -> ExitCode {
    let dir = dir.to_owned();
    let verdict = limit_resources(CPU_SECONDS).and_then(|()| {
        let vetting = std::thread::Builder::new().stack_size(STACK).spawn(move || verdict(&dir))?;
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

fn verdict(dir: &Path) -> Verdict {
    let source = if dir == Path::new(FROM_INPUT) {
        serde_json::from_reader(std::io::stdin().lock())
            .map_err(|error| LoadError::Vetoed(error.to_string()))
    } else {
        PolicySource::read(dir, &UNBOUNDED)
    };
    judged(source)
}

fn judged(source: Result<PolicySource, LoadError>) -> Verdict {
    let digest = source.as_ref().map(|source| source.digest().to_owned()).unwrap_or_default();
    match source.and_then(|source| examine(&source)) {
        Ok(findings) => Verdict { digest, error: None, findings },
        Err(error) => {
            let mut findings = error.findings();
            findings.truncate(MAX_FINDINGS);
            let error = findings.is_empty().then(|| error.to_string());
            Verdict { digest, error, findings }
        }
    }
}

/// The server has applied its own limits already, and compares the digest of what it read.
const UNBOUNDED: SourceLimits =
    SourceLimits { max_files: u64::MAX, max_bytes: u64::MAX, max_depth: 64, v0_compatible: false };

pub(crate) fn is_error(finding: &Finding) -> bool {
    finding.lint.severity() == Severity::Error
}

/// Parses, checks the text, and tries. Returns what is reported only.
fn examine(source: &PolicySource) -> Result<Vec<Finding>, LoadError> {
    let built = build(source, Include::Policy, PROBE_LIMIT).map_err(|error| match error {
        LoadError::Invalid { file, detail } => {
            let text = source.rego.get(&file).map(String::as_str).unwrap_or_default();
            let finding = Finding::new(Lint::InvalidFile, detail.as_str());
            LoadError::Refused(vec![finding.with_place_of(&file, text, &detail)])
        }
        other => other,
    })?;
    let files = crate::ast::files(&built.engine)?;
    let facts = depend::collect(&files);
    let mut findings = names::check(&facts, &files);
    findings.extend(unsafe_variables(&facts, &files));
    findings.extend(builtins::check(&facts, &files));
    findings.extend(graph::check(&facts, &files).err());
    findings.extend(lint::run(&files, &facts, &built.engine.get_data()));
    // Errors first, each in the order of the text.
    findings.sort_by_key(|finding| finding.lint.severity());
    findings.truncate(MAX_FINDINGS);
    if findings.iter().any(is_error) {
        return Err(LoadError::Refused(findings));
    }
    // Only what does not recurse may be evaluated. What the server could not prepare is refused here
    // already.
    prepare(&mut built.engine.clone()).map_err(|error| not_prepared(source, &error))?;
    probe(&built, built.shape.ok_or(LoadError::NoDecision)?)?;
    findings.splice(0..0, failed_tests(source));
    Ok(findings)
}

/// A finding for each of the policy's own tests that does not pass, or for each of its cases.
fn failed_tests(source: &PolicySource) -> Vec<Finding> {
    let may_test =
        |(file, text): (&str, &str)| PolicySource::is_test(file) || text.contains("test_");
    if !source.files().any(may_test) {
        return Vec::new();
    }
    let results = match test_runner::run_all(source) {
        Ok(results) => results,
        Err(error) => {
            let message = format!("the policy's tests cannot be run: {error}");
            return vec![Finding::new(Lint::FailingTest, message)];
        }
    };
    results.iter().flat_map(|test| failures_of(source, test)).take(MAX_FINDINGS).collect()
}

fn failures_of(source: &PolicySource, test: &TestResult) -> Vec<Finding> {
    let of_cases = test.cases.iter().filter(|case| case.outcome == Outcome::Fail);
    let failures: Vec<String> = match test.outcome {
        Outcome::Pass | Outcome::Skipped => return Vec::new(),
        Outcome::Fail if test.cases.is_empty() => vec!["does not hold".to_owned()],
        Outcome::Fail => of_cases
            .map(|case| format!("does not hold for the case `{}`", case.name.join("/")))
            .collect(),
        Outcome::Error => vec![format!("fails: {}", test.error.as_deref().unwrap_or_default())],
    };
    let text = source.tests.get(&test.file).or_else(|| source.rego.get(&test.file));
    let line = test.failed_at.unwrap_or(test.line);
    let span = Span { line, col: 1, ..Span::default() };
    let finding = |what: String| {
        let message = format!("the test `{}.{}` {what}", test.package, test.name);
        let finding = Finding::new(Lint::FailingTest, message);
        finding.in_text(&test.file, text.map_or("", String::as_str), span)
    };
    failures.into_iter().map(finding).collect()
}

/// What can take the process down, told from the text alone: recursion, depth, functions without
/// bound.
pub(crate) fn check_text(engine: &regorus::Engine) -> Result<(), LoadError> {
    let files = crate::ast::files(engine)?;
    let facts = depend::collect(&files);
    graph::check(&facts, &files).map_err(|finding| LoadError::Refused(vec![finding]))?;
    let mut findings = names::check(&facts, &files);
    findings.extend(builtins::check(&facts, &files));
    if findings.is_empty() { Ok(()) } else { Err(LoadError::Refused(findings)) }
}

/// The interpreter's reason, with its place.
fn not_prepared(source: &PolicySource, error: &str) -> LoadError {
    let placed = source.rego.iter().find_map(|(file, text)| {
        let detail = error.strip_prefix(file.as_str())?.strip_prefix(':')?;
        Some(Finding::new(Lint::InvalidFile, detail).with_place_of(file, text, detail))
    });
    LoadError::Refused(vec![placed.unwrap_or_else(|| Finding::new(Lint::InvalidFile, error))])
}

fn unsafe_variables<'a>(
    facts: &'a depend::Facts<'_>,
    files: &'a [crate::ast::File],
) -> impl Iterator<Item = Finding> + 'a {
    facts.unsafe_variables.iter().map(move |(file, span, name)| {
        let message = format!("`{name}` is looked up by its own value, which nothing else binds");
        Finding::new(Lint::UnsafeVariable, message).at(files, file, *span)
    })
}

/// Evaluates the policy as the server will: it must end, and not everything it says may be
/// malformed. That it denies, or is undefined for an input it does not know, is its own affair.
fn probe(built: &Built, shape: Shape) -> Result<(), LoadError> {
    let revision = Arc::from("vetting");
    let refused = |lint, message: String| LoadError::Refused(vec![Finding::new(lint, message)]);
    let mut complaint = None;
    let mut sound = false;
    for input in PROBES {
        let input = regorus::Value::from_json_str(input)
            .map_err(|error| LoadError::Vetoed(error.to_string()))?;
        let mut engine = built.engine.clone();
        engine.set_input(input);
        match answers(&mut engine, shape).and_then(|answers| answers.read(0, &revision)) {
            Err(PolicyError::TimedOut) => {
                let detail = format!("the policy takes longer than {} s", PROBE_LIMIT.as_secs());
                return Err(refused(Lint::TooSlow, detail));
            }
            Err(error @ (PolicyError::Malformed(_) | PolicyError::UnknownObligation(_))) => {
                complaint = Some(error);
            }
            _ => sound = true,
        }
    }
    match complaint {
        Some(error) if !sound => Err(refused(Lint::MalformedDecision, error.to_string())),
        _ => Ok(()),
    }
}

/// Nothing, a usual call, one with every part filled, and one with every part of a wrong type.
pub(crate) const PROBES: [&str; 4] = [
    "{}",
    r#"{"tenant": "platform-eng", "tool": "langsmith-docs-search", "action": "call",
        "purpose": "documentation_lookup", "usage": 0, "context": {}, "arguments": {},
        "principal": {"id": "key:0", "roles": ["agent"]}, "time": "2026-01-01T00:00:00Z",
        "tool_record": {"owner": "a", "scopes": [], "metadata": {}, "url": "https://a.example/",
        "digest": "00"}}"#,
    r#"{"tenant": "a", "tool": "b", "action": "write", "purpose": "c", "usage": 1000000000000,
        "agent": "d", "context": {"e": {"f": [1, "g", null, true]}, "ip": "10.0.0.1"},
        "arguments": {"path": "/h", "query": "i", "n": 1000000000000, "list": [1, 2, 3]},
        "principal": {"id": "key:1", "roles": ["admin"]}, "time": "2026-12-31T23:59:59.999Z",
        "tool_record": {"owner": "j", "scopes": ["k"], "metadata": {"l": 1},
        "url": "https://m.example/", "digest": "ff"}}"#,
    r#"{"tenant": 1, "tool": ["a"], "action": {}, "purpose": null, "usage": "b", "context": [],
        "agent": 0.5, "arguments": "c", "principal": true, "time": -1, "tool_record": []}"#,
];
