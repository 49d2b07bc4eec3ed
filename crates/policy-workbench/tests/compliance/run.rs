//! Runs one case: with the interpreter alone, and as a policy that is vetted.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::{Engine, Value};
use sentinel_policy::LoadError;
use sentinel_policy_analysis::PolicySource;
use sentinel_policy_workbench::Evaluator;
use serde_json::json;

use super::case::{Case, Input, Want};
use crate::support::vetter;

/// What became of a case that was vetted.
pub(crate) enum Outcome {
    Right,
    /// Vetting refuses the policy.
    Refused(String),
    /// It is an error when it is evaluated, and so a deny.
    Error(String),
    Different(String),
}

impl Outcome {
    pub(crate) fn is_right(&self) -> bool {
        matches!(self, Self::Right)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right => f.write_str("right"),
            Self::Refused(why) => write!(f, "refused, {why}"),
            Self::Error(why) => write!(f, "error, {why}"),
            Self::Different(got) => write!(f, "another result, {got}"),
        }
    }
}

/// Whether the interpreter alone gets it right.
pub(crate) fn plain(case: &Case) -> bool {
    // One of the interpreter's own functions panics for one of the cases.
    let found = catch_unwind(AssertUnwindSafe(|| results(case))).unwrap_or_default();
    match (found, &case.want) {
        (None, want) => matches!(want, Want::Error | Want::BuiltinError),
        (Some(found), want) => is_wanted(found, want, case.sorts),
    }
}

/// `None` when it is refused or fails.
fn results(case: &Case) -> Option<Vec<Value>> {
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    engine.set_rego_v0(case.version == "v0");
    for (index, module) in case.modules.iter().enumerate() {
        engine.add_policy(format!("{index}.rego"), module.clone()).ok()?;
    }
    if let Some(data) = &case.data {
        engine.add_data(data.clone()).ok()?;
    }
    match &case.input {
        Input::None => {}
        Input::Json(json) => engine.set_input(Value::from_json_str(json).ok()?),
        Input::Term(term) => engine.set_input(term_value(term)?),
    }
    let found = engine.eval_query(case.query.clone(), false).ok()?;
    Some(found.result.into_iter().map(|result| result.bindings).collect())
}

fn term_value(term: &str) -> Option<Value> {
    let found = Engine::new().eval_query(format!("x = {term}"), false).ok()?;
    Some(found.result.first()?.bindings["x"].clone())
}

/// Has the case vetted, with its query as one more module where it does not name a rule.
pub(crate) fn vetted(case: &Case) -> Outcome {
    let (query, variables) = query(case);
    let source = PolicySource::from_files(files(case, &query)).map_err(LoadError::from);
    let policy = match source.and_then(|source| vetter().vet_source(source)) {
        Ok(policy) => policy,
        Err(error) => return refused(case, &error),
    };
    let (input, with) = match &case.input {
        Input::None => (None, String::new()),
        Input::Json(json) => (serde_json::from_str(json).ok(), String::new()),
        Input::Term(term) => match serde_json::from_str::<serde_json::Value>(term) {
            Ok(input) => (Some(input), String::new()),
            Err(_) => (None, format!(" with input as {term}")),
        },
    };
    let asked = match &query {
        Query::Rule(rule) => format!("{rule}{with}"),
        Query::Module(_) => format!("data.compliance_query.found{with}"),
    };
    let evaluated = catch_unwind(AssertUnwindSafe(|| {
        let mut evaluator = Evaluator::new(&policy)?;
        match &input {
            Some(input) => evaluator.eval(&asked, input),
            None => evaluator.eval_without_input(&asked),
        }
    }));
    let found = match evaluated {
        Ok(Ok(found)) => found.result,
        Ok(Err(error)) => return failed(case, &error.to_string()),
        Err(_) => return failed(case, "a panic"),
    };
    let found = found.map(|value| Value::from_json_str(&value.to_string()).unwrap());
    let results = match (query, found) {
        (Query::Rule(_), found) => {
            found.into_iter().map(|value| bound(&variables, &value)).collect()
        }
        (Query::Module(_), Some(Value::Array(list))) => list.to_vec(),
        (Query::Module(_), other) => panic!("{}: a list is expected: {other:?}", case.id()),
    };
    let shown = Value::from(results.clone()).to_string();
    if is_wanted(results, &case.want, case.sorts) {
        return Outcome::Right;
    }
    Outcome::Different(match &case.want {
        Want::Results(want) => format!("{shown} where OPA has {}", Value::from(want.clone())),
        want => format!("{shown} where OPA has {want:?}"),
    })
}

fn refused(case: &Case, error: &LoadError) -> Outcome {
    if matches!(case.want, Want::Error | Want::BuiltinError) {
        return Outcome::Right;
    }
    let first = error.findings().into_iter().next();
    Outcome::Refused(match first {
        Some(finding) => format!("`{}`: {}", finding.lint.code(), finding.message),
        None => error.to_string(),
    })
}

fn failed(case: &Case, error: &str) -> Outcome {
    match case.want {
        Want::Error | Want::BuiltinError => Outcome::Right,
        _ => Outcome::Error(error.to_owned()),
    }
}

enum Query {
    /// `data.a.b = x`.
    Rule(String),
    /// Any other, as a rule that lists the bindings of each result.
    Module(String),
}

fn query(case: &Case) -> (Query, Vec<String>) {
    let plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    if let Some((rule, variable)) = case.query.split_once(" = ")
        && rule.starts_with("data.")
        && plain(rule)
        && plain(variable)
        && variable != "input"
        && variable.starts_with(|c: char| c.is_ascii_lowercase())
    {
        return (Query::Rule(rule.to_owned()), vec![variable.to_owned()]);
    }
    let mut names = Vec::new();
    if let Want::Results(results) = &case.want {
        for object in results.iter().filter_map(|result| result.as_object().ok()) {
            names.extend(object.iter().filter_map(|(name, _)| name.as_string().ok()));
        }
    }
    let names: std::collections::BTreeSet<String> =
        names.iter().map(|name| name.to_string()).collect();
    let bindings: Vec<_> = names.iter().map(|name| format!("\"{name}\": {name}")).collect();
    let module = format!(
        "package compliance_query\nfound := [{{{}}} | {}]\n",
        bindings.join(", "),
        case.query
    );
    (Query::Module(module), Vec::new())
}

fn files(case: &Case, query: &Query) -> Vec<(String, String)> {
    let mut files: Vec<_> = case.modules.iter().enumerate().collect::<Vec<_>>();
    let mut files: Vec<(String, String)> =
        files.drain(..).map(|(index, text)| (format!("{index}.rego"), text.clone())).collect();
    let own = "package sentinel.policy\ndefault allow := false\n";
    files.push(("own.rego".to_owned(), own.to_owned()));
    if let Query::Module(text) = query {
        files.push(("query.rego".to_owned(), text.clone()));
    }
    if let Some(data) = &case.data {
        files.push(("data.json".to_owned(), data.to_json_str().unwrap()));
    }
    let version = u8::from(case.version == "v1");
    let manifest = json!({
        "rego_version": version,
        "file_rego_versions": {"own.rego": 1, "query.rego": 1},
    });
    files.push((".manifest".to_owned(), manifest.to_string()));
    files
}

fn bound(variables: &[String], value: &Value) -> Value {
    let mut object = Value::new_object();
    for name in variables {
        object.as_object_mut().unwrap().insert(Value::from(name.as_str()), value.clone());
    }
    object
}

fn is_wanted(mut found: Vec<Value>, want: &Want, sorts: bool) -> bool {
    match want {
        Want::Error => false,
        Want::BuiltinError => found.is_empty(),
        Want::Defined(defined) => *defined != found.is_empty(),
        Want::Results(want) => {
            let mut want: Vec<_> = want.iter().map(|value| normal(value, sorts)).collect();
            let mut found: Vec<_> = found.drain(..).map(|value| normal(&value, sorts)).collect();
            want.sort();
            found.sort();
            want == found
        }
    }
}

/// As it is in JSON; with `sorts`, lists in an order of their own.
fn normal(value: &Value, sorts: bool) -> Value {
    let json = Value::from_json_str(&value.to_json_str().unwrap()).unwrap();
    if sorts { sorted(&json) } else { json }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(sorted).collect();
            items.sort();
            Value::from(items)
        }
        Value::Object(fields) => {
            let mut object = Value::new_object();
            for (key, value) in fields.iter() {
                object.as_object_mut().unwrap().insert(key.clone(), sorted(value));
            }
            object
        }
        other => other.clone(),
    }
}
