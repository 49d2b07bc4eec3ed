//! From files to an interpreter. A policy that has not been vetted is never built outside the
//! vetting process.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use sentinel_core::json;

use super::error::InterpreterError;
use super::owned::Owned;
use super::rules::Shape;
use super::stack::guarded;
use super::{guard, nesting, replaced, version};
use crate::error::AnalysisError;
use crate::finding::{Finding, Lint};
use crate::source::{DATA_LIMITS, PolicySource};
use crate::syntax::Span;

/// Package of the rules that decide.
const PACKAGE: [&str; 2] = ["sentinel", "policy"];
/// Steps of the interpreter between two looks at the clock. A lean policy needs fewer, so that it
/// cannot be called slow because the machine was busy.
const STEPS_PER_CLOCK: NonZeroU32 = NonZeroU32::new(512).unwrap();

/// An interpreter with policy and data.
#[derive(Debug, Clone)]
pub struct Built {
    pub engine: Engine,
    pub shape: Option<Shape>,
    /// Where no one else may put data.
    pub owned: Owned,
}

/// Whether to take the tests in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    Policy,
    PolicyAndTests,
}

/// Parses policy and data. `limit` is the time that one rule may take, kept between the steps of
/// the interpreter.
///
/// # Errors
/// When a file cannot be read as what it should be, or data would shadow rules.
pub fn build(
    source: &PolicySource,
    include: Include,
    limit: Duration,
) -> Result<Built, AnalysisError> {
    guarded(|| within_stack(source, include, limit))
}

/// Analyzes and schedules the rules of an engine, without evaluating one.
///
/// # Errors
/// When the interpreter refuses them.
pub fn prepare(engine: &mut Engine) -> Result<(), InterpreterError> {
    guarded(|| engine.eval_query("true".to_owned(), false))
        .map(drop)
        .map_err(|error| InterpreterError::new(&error))
}

fn within_stack(
    source: &PolicySource,
    include: Include,
    limit: Duration,
) -> Result<Built, AnalysisError> {
    let mut engine = Engine::new();
    nesting::bound(&mut engine)?;
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit,
        check_interval: STEPS_PER_CLOCK,
    });
    guard::guard(&mut engine)?;
    // Otherwise `print` writes what it is given to the log.
    engine.set_gather_prints(true);
    replaced::install(&mut engine)?;
    version::add(&mut engine, source, include)?;
    check_roots(&engine, source)?;
    let packages = packages(&engine, source)?;
    for (file, text) in &source.data {
        let value = parse_data(file, text)?;
        if let Some((path, package)) = shadowed(&value, &packages) {
            let rule = shadowed_rule(&engine, source, &value, &package).map(Box::new);
            return Err(AnalysisError::Shadow { file: file.clone(), path, package, rule });
        }
        check_data_roots(file, &value, source)?;
        engine
            .add_data(value)
            .map_err(|error| AnalysisError::invalid(file, &InterpreterError::new(&error)))?;
    }
    let shape = shape(&engine, source)?;
    let roots = roots(source).into_iter().flatten();
    let roots = roots.map(|root| root.into_iter().map(str::to_owned).collect()).collect();
    let owned = Owned::new(packages, roots, engine.get_data());
    Ok(Built { engine, shape, owned })
}

/// Strict JSON: of two equal keys one would win silently.
fn parse_data(file: &str, text: &str) -> Result<Value, AnalysisError> {
    let leaf = if file.ends_with(".json") {
        json::parse_as::<Value>(text.as_bytes(), &DATA_LIMITS)
            .map_err(|error| AnalysisError::invalid(file, &error))?
    } else {
        Value::from_yaml_str(text)
            .map_err(|error| AnalysisError::invalid(file, &InterpreterError::new(&error)))?
    };
    let directories = file.rsplit_once('/').map_or("", |(directories, _)| directories);
    // In a directory the value is that of its path, which is one of an object in any case.
    if directories.is_empty() && leaf.as_object().is_err() {
        return Err(AnalysisError::invalid(file, "data must be an object"));
    }
    let path = directories.split('/').filter(|name| !name.is_empty());
    Ok(path.rev().fold(leaf, |inner, name| {
        Value::from(std::iter::once((Value::from(name), inner)).collect::<regorus::value::Object>())
    }))
}

/// Packages of the files that decide. Data is never below one of them: the interpreter would take
/// the data and leave the rules.
fn packages(engine: &Engine, source: &PolicySource) -> Result<Vec<Vec<String>>, AnalysisError> {
    Ok(engine
        .get_policy_package_components()
        .map_err(|error| AnalysisError::invalid("policy", &InterpreterError::new(&error)))?
        .into_iter()
        .filter(|package| source.rego.contains_key(&package.source_file))
        .map(|package| package.components)
        .collect())
}

/// The place where data and a package meet, and that package.
fn shadowed(data: &Value, packages: &[Vec<String>]) -> Option<(String, String)> {
    packages.iter().find_map(|package| {
        let mut at = data;
        for (depth, name) in package.iter().enumerate() {
            let Ok(object) = at.as_object() else {
                return Some((dotted(package.iter().take(depth)), dotted(package)));
            };
            at = object.get(&Value::from(name.as_str()))?;
        }
        Some((dotted(package), dotted(package)))
    })
}

/// The place of the first rule that data takes the place of, or of the package when it takes all.
fn shadowed_rule(
    engine: &Engine,
    source: &PolicySource,
    data: &Value,
    package: &str,
) -> Option<Finding> {
    let found = engine.get_policy_package_components().ok()?.into_iter().find(|candidate| {
        source.rego.contains_key(&candidate.source_file) && dotted(&candidate.components) == package
    })?;
    let at = |data: &Value, name: &String| -> Option<Value> {
        data.as_object().ok()?.get(&Value::from(name.as_str())).cloned()
    };
    let inner = found.components.iter().try_fold(data.clone(), |data, name| at(&data, name));
    let text = source.rego.get(&found.source_file)?;
    let mut offset = 0;
    let mut first = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let rule = line.strip_prefix("default ").unwrap_or(line);
        let ends = |c: char| !(c.is_alphanumeric() || c == '_');
        let name = rule.split(ends).next().unwrap_or_default();
        let start = offset + line.len() - rule.len();
        let span = Span {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            col: 1,
            start,
            end: start + name.len(),
        };
        let is_rule = |inner: &Value| !name.is_empty() && at(inner, &name.to_owned()).is_some();
        if inner.as_ref().is_some_and(is_rule) {
            first = Some(span);
            break;
        }
        if name == "package" {
            first = Some(span);
        }
        offset += line.len();
    }
    let finding = Finding::new(Lint::DataShadowsRule, "");
    Some(finding.in_text(&found.source_file, text, first?))
}

fn dotted<'a>(parts: impl IntoIterator<Item = &'a String>) -> String {
    parts.into_iter().fold("data".to_owned(), |path, name| format!("{path}.{name}"))
}

fn roots(source: &PolicySource) -> Option<Vec<Vec<&str>>> {
    let roots = source.manifest.roots.as_ref()?;
    Some(
        roots
            .iter()
            .map(|root| root.split('/').filter(|name| !name.is_empty()).collect())
            .collect(),
    )
}

fn check_roots(engine: &Engine, source: &PolicySource) -> Result<(), AnalysisError> {
    let Some(roots) = roots(source) else { return Ok(()) };
    for package in packages(engine, source)? {
        let inside = |root: &Vec<&str>| {
            root.len() <= package.len() && root.iter().zip(&package).all(|(a, b)| a == b)
        };
        if !roots.iter().any(inside) {
            let detail = format!("package `{}` is outside the roots", dotted(&package));
            return Err(AnalysisError::invalid(".manifest", &detail));
        }
    }
    Ok(())
}

fn check_data_roots(file: &str, data: &Value, source: &PolicySource) -> Result<(), AnalysisError> {
    let Some(roots) = roots(source) else { return Ok(()) };
    let roots: Vec<&[&str]> = roots.iter().map(Vec::as_slice).collect();
    if within(data, &roots) {
        return Ok(());
    }
    Err(AnalysisError::invalid(file, "data is outside the roots of the manifest"))
}

/// Whether everything in `data` is under one of `roots`, which are relative to it. No deeper
/// than the longest root.
fn within(data: &Value, roots: &[&[&str]]) -> bool {
    if roots.iter().any(|root| root.is_empty()) {
        return true;
    }
    let Ok(object) = data.as_object() else { return false };
    object.iter().all(|(key, value)| {
        let below: Vec<&[&str]> = roots
            .iter()
            .filter_map(|root| root.split_first())
            .filter(|(first, _)| *key == Value::from(**first))
            .map(|(_, rest)| rest)
            .collect();
        within(value, &below)
    })
}

fn shape(engine: &Engine, source: &PolicySource) -> Result<Option<Shape>, AnalysisError> {
    let components = engine
        .get_policy_package_components()
        .map_err(|error| AnalysisError::invalid("policy", &InterpreterError::new(&error)))?;
    let own: Vec<_> = components
        .into_iter()
        .filter(|package| source.rego.contains_key(&package.source_file))
        .filter(|package| package.components == PACKAGE)
        .map(|package| package.source_file)
        .collect();
    let defines = |rule: &str| -> bool {
        own.iter().any(|file| engine.has_declared_rule_rooted_at(file, rule).unwrap_or(false))
    };
    Ok(if defines("decision") {
        Some(Shape::Decision)
    } else if defines("allow") {
        Some(Shape::Seed {
            deny_reason: defines("deny_reason"),
            quota_remaining: defines("quota_remaining"),
        })
    } else {
        None
    })
}
