//! Vetting of many policies, each by what vets those of a server, in processes that are used again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sentinel_policy_analysis::{Finding, PolicySource, Severity};
use serde_json::Value;

/// What vetting says of one policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Admitted,
    /// By the codes of the findings, or by why else it is refused.
    Refused(Vec<String>),
}

/// A process that vets. One that a policy ends is replaced.
#[derive(Debug)]
pub(crate) struct Vetting(Option<Running>);

#[derive(Debug)]
struct Running {
    child: Child,
    policies: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

impl Running {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sentinel-policy-vet"))
            .arg("--stream")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (policies, verdicts) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, policies, verdicts: BufReader::new(verdicts) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Vetting {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    pub(crate) fn vet(&mut self, files: &[(String, String)]) -> Verdict {
        let source = match PolicySource::from_files(files.to_vec()) {
            Ok(source) => source,
            Err(error) => return Verdict::Refused(vec![error.to_string()]),
        };
        let mut line = serde_json::to_string(&source).unwrap();
        line.push('\n');
        let running = self.0.get_or_insert_with(Running::start);
        let mut answer = String::new();
        let sent = running.policies.write_all(line.as_bytes());
        let read = sent.and_then(|()| running.verdicts.read_line(&mut answer));
        let Ok(verdict) = serde_json::from_str::<Value>(&answer) else {
            self.0 = None;
            return Verdict::Refused(vec![format!("vetting did not survive it: {read:?}")]);
        };
        of(&verdict)
    }
}

fn of(verdict: &Value) -> Verdict {
    if let Some(error) = verdict["error"].as_str() {
        return Verdict::Refused(vec![error.to_owned()]);
    }
    let findings: Vec<Finding> = serde_json::from_value(verdict["findings"].clone()).unwrap();
    let errors = findings.iter().filter(|finding| finding.lint.severity() == Severity::Error);
    let codes: Vec<_> = errors.map(|finding| finding.lint.code().to_owned()).collect();
    if codes.is_empty() { Verdict::Admitted } else { Verdict::Refused(codes) }
}
