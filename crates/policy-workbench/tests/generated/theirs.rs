//! What OPA has to say of the policies: of many at once by one server, of one by one process.

use std::collections::BTreeSet;
use std::path::Path;

use sentinel_testkit::opa;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answer::Answer;
use crate::text::{PACKAGE, Policy};

/// Paths of files of v0, in the bundle of all policies.
const V0: &str = "/**/v0_*.rego";

fn bundle(policies: &[&Policy]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = json!({"rego_version": 1, "file_rego_versions": {V0: 0}});
    std::fs::write(folder.path().join(".manifest"), manifest.to_string()).unwrap();
    for (path, text) in policies.iter().flat_map(|policy| policy.files_below()) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// An OPA with many policies.
#[derive(Debug)]
pub(crate) struct Opa {
    connection: opa::Connection,
    _server: opa::Server,
    _bundle: TempDir,
}

impl Opa {
    /// Starts one, and says which of the policies its compiler refuses, and why.
    pub(crate) fn start(policies: &[&Policy]) -> (Self, Vec<(usize, String)>) {
        let mut policies = policies.to_vec();
        let mut refused = Vec::new();
        loop {
            let bundle = bundle(&policies);
            match opa::Server::start_bundle(bundle.path()) {
                Ok(server) => {
                    let connection = server.connect().unwrap();
                    return (Self { connection, _server: server, _bundle: bundle }, refused);
                }
                Err(log) => {
                    let found = faults(bundle.path());
                    assert!(!found.is_empty(), "OPA does not start, but has no errors: {log}");
                    let numbers: BTreeSet<usize> =
                        found.iter().map(|(number, _)| *number).collect();
                    policies.retain(|policy| !numbers.contains(&policy.number));
                    refused.extend(found);
                }
            }
        }
    }

    pub(crate) fn ask(&mut self, policy: &Policy, rule: &str, input: &Value) -> Answer {
        let path = format!("/v1/data/{}/{}/{rule}", policy.name(), PACKAGE.replace('.', "/"));
        let body = format!(r#"{{"input":{input}}}"#);
        let (status, mut answer) = self.connection.request("POST", &path, Some(&body)).unwrap();
        if status != 200 {
            return Answer::Failed(answer.to_string());
        }
        match answer.as_object_mut().unwrap().remove("result") {
            Some(value) => Answer::Value(value),
            None => Answer::Undefined,
        }
    }
}

/// One error of each policy that OPA refuses.
fn faults(bundle: &Path) -> Vec<(usize, String)> {
    let check = opa::command()
        .args(["check", "--format=json", "--max-errors=100000", "--bundle"])
        .arg(bundle)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&check.stderr)
        .or_else(|_| serde_json::from_slice(&check.stdout))
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&check.stderr)));
    let mut found: Vec<(usize, String)> = Vec::new();
    for error in report["errors"].as_array().into_iter().flatten() {
        let place = error["location"]["file"].as_str().unwrap_or_default();
        let number = place.split('/').find_map(|part| part.strip_prefix('g')?.parse().ok());
        let number = number.unwrap_or_else(|| panic!("an error without a place: {error}"));
        if !found.iter().any(|(other, _)| *other == number) {
            let (code, message) = (error["code"].as_str(), error["message"].as_str());
            let message = format!("{}: {}", code.unwrap_or("?"), message.unwrap_or("?"));
            found.push((number, message));
        }
    }
    found
}

/// The answer of one policy by a process of its own.
pub(crate) fn one(policy: &Policy, rule: &str, input: &Value) -> Answer {
    let bundle = bundle(&[policy]);
    let file = bundle.path().join("input.json");
    std::fs::write(&file, input.to_string()).unwrap();
    let query = format!("data.{}.{PACKAGE}.{rule}", policy.name());
    let output = opa::command()
        .args(["eval", "--format=json", "--bundle"])
        .arg(bundle.path())
        .arg("--input")
        .arg(&file)
        .arg(query)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if let Some(errors) = report.get("errors") {
        return Answer::Failed(errors.to_string());
    }
    match report.pointer("/result/0/expressions/0/value") {
        Some(value) => Answer::Value(value.clone()),
        None if output.status.success() => Answer::Undefined,
        None => Answer::Failed(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
