//! Vetting a policy: nothing decides before all of this has passed.
//!
//! A policy can take its interpreter down: rules that refer to each other overflow the stack and
//! abort the process, some text is parsed for longer than anyone waits, a long range takes all
//! memory. So [`examine`] runs in a process of its own that has resource limits. It parses the
//! candidate, checks what can be checked from its text, and evaluates it on a few inputs.
//! `interpreter/stack.rs` says what keeps a policy within the stacks of the server.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::policy::PolicyError;

use crate::checks::{builtins, graph};
use crate::error::AnalysisError;
use crate::finding::{Finding, Lint};
use crate::interpreter::{Built, Include, InterpreterError, RuleValues, Shape, build, prepare};
use crate::lint;
use crate::source::PolicySource;
use crate::syntax::{self, File, depend, names};

/// Findings that are reported; more would not be read.
pub const MAX_FINDINGS: usize = 100;
/// What one rule may take on an input of the vetter.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Runs the tests of a policy, and returns a finding for each that does not pass. What runs tests
/// needs what vetting has shown, so it is handed in from above.
pub type RunTests = fn(&PolicySource) -> Vec<Finding>;

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

    /// A policy that the vetting process has passed, with what it reported.
    #[must_use]
    pub fn passed(source: PolicySource, warnings: Vec<Finding>) -> Self {
        Self { source, warnings }
    }

    /// The same with more that was reported.
    #[must_use]
    pub fn with_warnings(mut self, more: Vec<Finding>) -> Self {
        self.warnings.extend(more);
        self
    }

    #[must_use]
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// What vetting reported without refusing the policy.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }
}

/// Parses the policy, checks its text, evaluates it on a few inputs and runs its tests. Returns the
/// findings; the policy may decide unless one of them is an error. To be called only in a process
/// that may end at any moment.
///
/// # Errors
/// When the policy cannot be read as one, or is refused before anything of it is evaluated.
pub fn examine(source: &PolicySource, run_tests: RunTests) -> Result<Vec<Finding>, AnalysisError> {
    let built = build(source, Include::Policy, PROBE_LIMIT).map_err(|error| match error {
        AnalysisError::Invalid { file, detail } => {
            let text = source.rego.get(&file).map(String::as_str).unwrap_or_default();
            let finding = Finding::new(Lint::InvalidFile, detail.as_str());
            AnalysisError::Refused(vec![finding.with_place_of(&file, text, &detail)])
        }
        other => other,
    })?;
    let files = syntax::files(&built.engine)?;
    let facts = depend::collect(&files);
    let mut findings = names::check(&facts, &files);
    findings.extend(unsafe_variables(&facts, &files));
    findings.extend(builtins::check(&facts, &files));
    findings.extend(graph::check(&facts, &files).err());
    findings.extend(lint::run(&files, &facts, &built.engine.get_data()));
    // Errors first, each in the order of the text.
    findings.sort_by_key(|finding| finding.lint.severity());
    findings.truncate(MAX_FINDINGS);
    if findings.iter().any(Finding::is_error) {
        return Err(AnalysisError::Refused(findings));
    }
    // Only what does not recurse may be evaluated. What the server could not prepare is refused
    // here already.
    prepare(&mut built.engine.clone()).map_err(|error| not_prepared(source, &error))?;
    probe(&built, built.shape.ok_or(AnalysisError::NoDecision)?)?;
    findings.splice(0..0, run_tests(source));
    Ok(findings)
}

/// Refuses what can take the process down, by the text alone: recursion, depth, functions without
/// bound.
///
/// # Errors
/// When the policy is refused, or its syntax tree cannot be read.
pub fn check_text(engine: &regorus::Engine) -> Result<(), AnalysisError> {
    let files = syntax::files(engine)?;
    let facts = depend::collect(&files);
    graph::check(&facts, &files).map_err(|finding| AnalysisError::Refused(vec![finding]))?;
    let mut findings = names::check(&facts, &files);
    findings.extend(builtins::check(&facts, &files));
    if findings.is_empty() { Ok(()) } else { Err(AnalysisError::Refused(findings)) }
}

/// The interpreter's reason, with its place.
fn not_prepared(source: &PolicySource, error: &InterpreterError) -> AnalysisError {
    let error = error.as_str();
    let placed = source.rego.iter().find_map(|(file, text)| {
        let detail = error.strip_prefix(file.as_str())?.strip_prefix(':')?;
        Some(Finding::new(Lint::InvalidFile, detail).with_place_of(file, text, detail))
    });
    AnalysisError::Refused(vec![placed.unwrap_or_else(|| Finding::new(Lint::InvalidFile, error))])
}

fn unsafe_variables<'a>(
    facts: &'a depend::Facts<'_>,
    files: &'a [File],
) -> impl Iterator<Item = Finding> + 'a {
    facts.unsafe_variables.iter().map(move |(file, span, name)| {
        let message = format!("`{name}` is looked up by its own value, which nothing else binds");
        Finding::new(Lint::UnsafeVariable, message).at(files, file, *span)
    })
}

/// Evaluates the policy as the server will: it must end, and not everything it says may be
/// malformed. That it denies, or is undefined for an input it does not know, is its own affair.
fn probe(built: &Built, shape: Shape) -> Result<(), AnalysisError> {
    let revision = Arc::from("vetting");
    let refused = |lint, message: String| AnalysisError::Refused(vec![Finding::new(lint, message)]);
    let mut complaint = None;
    let mut sound = false;
    for input in PROBES {
        let input =
            regorus::Value::from_json_str(input).map_err(|error| InterpreterError::new(&error))?;
        let mut engine = built.engine.clone();
        engine.set_input(input);
        match RuleValues::evaluate(&mut engine, shape)
            .and_then(|values| values.decision(0, &revision))
        {
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
pub const PROBES: [&str; 4] = [
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
