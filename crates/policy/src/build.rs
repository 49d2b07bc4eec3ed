//! From files to an interpreter. A policy that has not been vetted is never built outside the
//! vetting process.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use sentinel_core::json;

use crate::ast::Span;
use crate::error::{LoadError, one_line};
use crate::finding::{Finding, Lint};
use crate::owned::Owned;
use crate::source::PolicySource;
use crate::stack::guarded;
use crate::{nesting, replaced, version};

/// Package of the rules that decide.
const PACKAGE: [&str; 2] = ["sentinel", "policy"];
/// Steps of the interpreter between two looks at the clock. A lean policy needs fewer, so that it
/// cannot be called slow because the machine was busy.
const STEPS_PER_CLOCK: NonZeroU32 = NonZeroU32::new(512).unwrap();

/// Limits of a data file: larger than a request's, since policy data is.
pub(crate) const DATA: json::Limits = json::Limits {
    max_bytes: 64 * 1024 * 1024,
    max_depth: 64,
    max_nodes: 8_000_000,
    max_string_bytes: 1024 * 1024,
    max_key_bytes: 4096,
};

/// Which rules answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `data.sentinel.policy.decision`.
    Decision,
    /// `allow`, and `deny_reason` and `quota_remaining` where the policy defines them.
    Seed { deny_reason: bool, quota_remaining: bool },
}

/// An interpreter with policy and data.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub engine: Engine,
    pub shape: Option<Shape>,
    /// Where nobody else may put data.
    pub owned: Owned,
}

/// Whether to take the tests in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Policy,
    PolicyAndTests,
}

/// Parses policy and data.
pub(crate) fn build(
    source: &PolicySource,
    include: Include,
    limit: Duration,
) -> Result<Built, LoadError> {
    guarded(|| within_stack(source, include, limit))
}

fn within_stack(
    source: &PolicySource,
    include: Include,
    limit: Duration,
) -> Result<Built, LoadError> {
    let mut engine = Engine::new();
    nesting::bound(&mut engine)?;
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit,
        check_interval: STEPS_PER_CLOCK,
    });
    crate::bounds::guard(&mut engine)?;
    // Otherwise `print` writes what it is given to the log.
    engine.set_gather_prints(true);
    #[cfg(test)]
    crate::planted_panic::add(&mut engine)?;
    replaced::install(&mut engine)?;
    version::add(&mut engine, source, include)?;
    check_roots(&engine, source)?;
    let packages = packages(&engine, source)?;
    for (file, text) in &source.data {
        let value = parse_data(file, text)?;
        if let Some((path, package)) = shadowed(&value, &packages) {
            let rule = shadowed_rule(&engine, source, &value, &package).map(Box::new);
            return Err(LoadError::Shadow { file: file.clone(), path, package, rule });
        }
        check_data_roots(file, &value, source)?;
        engine.add_data(value).map_err(|error| LoadError::invalid(file, &one_line(&error)))?;
    }
    let shape = shape(&engine, source)?;
    let roots = roots(source).into_iter().flatten();
    let roots = roots.map(|root| root.into_iter().map(str::to_owned).collect()).collect();
    let owned = Owned::new(packages, roots, engine.get_data());
    Ok(Built { engine, shape, owned })
}

/// Strict JSON: of two equal keys one would win silently.
fn parse_data(file: &str, text: &str) -> Result<Value, LoadError> {
    let leaf = if file.ends_with(".json") {
        json::parse_as::<Value>(text.as_bytes(), &DATA)
            .map_err(|error| LoadError::invalid(file, &error))?
    } else {
        Value::from_yaml_str(text).map_err(|error| LoadError::invalid(file, &one_line(&error)))?
    };
    let directories = file.rsplit_once('/').map_or("", |(directories, _)| directories);
    // In a directory the value is that of its path, which is one of an object in any case.
    if directories.is_empty() && leaf.as_object().is_err() {
        return Err(LoadError::invalid(file, "data must be an object"));
    }
    let path = directories.split('/').filter(|name| !name.is_empty());
    Ok(path.rev().fold(leaf, |inner, name| {
        Value::from(std::iter::once((Value::from(name), inner)).collect::<regorus::value::Object>())
    }))
}

/// Packages of the files that decide. Data never lies in one of them: the interpreter would take
/// the data and leave the rules.
fn packages(engine: &Engine, source: &PolicySource) -> Result<Vec<Vec<String>>, LoadError> {
    Ok(engine
        .get_policy_package_components()
        .map_err(|error| LoadError::invalid("policy", &one_line(&error)))?
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

fn check_roots(engine: &Engine, source: &PolicySource) -> Result<(), LoadError> {
    let Some(roots) = roots(source) else { return Ok(()) };
    for package in packages(engine, source)? {
        let inside = |root: &Vec<&str>| {
            root.len() <= package.len() && root.iter().zip(&package).all(|(a, b)| a == b)
        };
        if !roots.iter().any(inside) {
            let detail = format!("package `{}` lies outside the roots", dotted(&package));
            return Err(LoadError::invalid(".manifest", &detail));
        }
    }
    Ok(())
}

fn check_data_roots(file: &str, data: &Value, source: &PolicySource) -> Result<(), LoadError> {
    let Some(roots) = roots(source) else { return Ok(()) };
    let roots: Vec<&[&str]> = roots.iter().map(Vec::as_slice).collect();
    if within(data, &roots) {
        return Ok(());
    }
    Err(LoadError::invalid(file, "data lies outside the roots of the manifest"))
}

/// Whether everything in `data` lies under one of `roots`, which are relative to it. No deeper
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

fn shape(engine: &Engine, source: &PolicySource) -> Result<Option<Shape>, LoadError> {
    let components = engine
        .get_policy_package_components()
        .map_err(|error| LoadError::invalid("policy", &one_line(&error)))?;
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
