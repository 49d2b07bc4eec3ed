//! OPA's cases as they are in its Go module.

use std::path::{Path, PathBuf};
use std::process::Command;

use regorus::Value;

/// The version that `scripts/install.sh` pins.
const MODULE: &str = "github.com/open-policy-agent/opa@v1.22.2";

#[derive(Debug, Clone)]
pub(crate) enum Input {
    None,
    Json(String),
    /// Rego, with sets and the like.
    Term(String),
}

#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// The bindings of each result.
    Results(Vec<Value>),
    /// The query must be defined, or not.
    Defined(bool),
    Error,
    /// An error only when errors of builtins are not swallowed; undefined otherwise.
    BuiltinError,
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) version: &'static str,
    pub(crate) note: String,
    pub(crate) query: String,
    pub(crate) modules: Vec<String>,
    pub(crate) data: Option<Value>,
    pub(crate) input: Input,
    pub(crate) want: Want,
    /// Whether arrays in results are sets that have been printed in any order.
    pub(crate) sorts: bool,
}

impl Case {
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.version, self.note)
    }
}

/// All cases, ordered by version and file. Panics when they are missing: nothing would be tested.
pub(crate) fn cases() -> Vec<Case> {
    let module = module();
    let mut found = Vec::new();
    for version in ["v0", "v1"] {
        let mut files = Vec::new();
        yaml(&module.join("v1/test/cases/testdata").join(version), &mut files);
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let set = Value::from_yaml_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let list = set["cases"].as_array().unwrap();
            found.extend(list.iter().map(|case| read(version, case)));
        }
    }
    found
}

fn module() -> PathBuf {
    let go = Command::new("go").args(["env", "GOMODCACHE"]).output();
    let go = go.expect("`go` is needed; `scripts/install.sh test` says how to get it");
    let cache = String::from_utf8(go.stdout).unwrap();
    let module = Path::new(cache.trim()).join(MODULE);
    assert!(
        module.is_dir(),
        "OPA's compliance cases are needed; `scripts/install.sh test` gets them"
    );
    module
}

fn yaml(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

fn read(version: &'static str, case: &Value) -> Case {
    let text = |name: &str| case[name].as_string().ok().map(|text| text.to_string());
    let is = |name: &str| matches!(case[name], Value::Bool(true));
    let modules = case["modules"].as_array().map(|list| list.to_vec()).unwrap_or_default();
    let input = match (text("input_term"), &case["input"]) {
        (Some(term), _) => Input::Term(term),
        (None, Value::Undefined) => Input::None,
        (None, value) => Input::Json(value.to_json_str().unwrap()),
    };
    let error = text("want_error").is_some() || text("want_error_code").is_some();
    let want = match (&case["want_result"], &case["want_defined"]) {
        _ if error && is("strict_error") => Want::BuiltinError,
        _ if error => Want::Error,
        (Value::Array(results), _) => Want::Results(results.to_vec()),
        (Value::Undefined | Value::Null, Value::Bool(defined)) => Want::Defined(*defined),
        // Without one, the query has no result.
        (Value::Undefined | Value::Null, _) => Want::Results(Vec::new()),
        (other, _) => panic!("{other} is not a list of results"),
    };
    Case {
        version,
        note: text("note").unwrap(),
        query: text("query").unwrap(),
        modules: modules.iter().map(|module| module.as_string().unwrap().to_string()).collect(),
        data: Some(case["data"].clone()).filter(|data| *data != Value::Undefined),
        input,
        want,
        sorts: is("sort_bindings"),
    }
}
