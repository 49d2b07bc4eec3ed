//! How long each rule takes, and whether it takes longer with more data.
//!
//! Whether a rule looks data up or goes through all of them is not read from its text, where it may
//! hide behind any function, but measured: each collection in the data is made larger by entries
//! that nothing asks for, and a rule that then takes longer has looked at them.

mod grow;

use std::time::{Duration, Instant};

use regorus::{Engine, Value as RegoValue};
use sentinel_policy_analysis::interpreter::{Include, Shape, build, guarded, json_value, prepare};
use sentinel_policy_analysis::reads::{RuleUses, rule_uses};
use sentinel_policy_analysis::{AnalysisError, Vetted};
use serde::Serialize;
use serde_json::Value;

use self::grow::Collection;
use crate::error::{WorkbenchError, interpreter};
use crate::eval::TIME_LIMIT;
use crate::syntax::modules;

/// Of one rule, however many evaluations that makes.
const RULE_LIMIT: Duration = Duration::from_secs(5);
/// Inputs on which the growth is measured.
const GROWTH_INPUTS: usize = 8;
/// Evaluations of one input of which the quickest counts: the rest was the machine.
const GROWTH_ROUNDS: usize = 3;
/// A rule that takes less than this longer has not gone through what was added.
const GROWTH: Duration = Duration::from_micros(30);
/// Nor has one that takes less than so many times as long.
const GROWTH_RATIO: u32 = 2;

/// Figures of a policy.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// Of different inputs.
    pub inputs: usize,
    /// Those that the server asks for first, then the others in the order of files and lines.
    pub rules: Vec<RuleTimes>,
    pub scans: Vec<Scan>,
}

/// How long one rule takes, with all that it refers to, in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct RuleTimes {
    /// `data.sentinel.policy.decision`.
    pub rule: String,
    pub file: String,
    pub line: u32,
    /// Whether the server asks for it.
    pub decides: bool,
    pub evaluations: usize,
    /// Evaluations that failed, which are timed all the same.
    pub errors: usize,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// A rule that goes through a collection of data.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    pub rule: String,
    pub file: String,
    pub line: u32,
    /// `data.allowlist[_]`: each value of `data.allowlist`.
    pub data: String,
    /// Entries that each of them got.
    pub added: usize,
    /// Of one evaluation, in microseconds: as the data are, and with the entries added.
    pub before_us: f64,
    pub after_us: f64,
}

/// A rule that takes no arguments.
struct Timed {
    path: String,
    file: String,
    line: u32,
    decides: bool,
}

/// Evaluates every rule without arguments `evaluations` times over `inputs`, in turn.
///
/// # Errors
/// When the policy cannot be built, or decides nothing.
pub fn bench(
    policy: &Vetted,
    inputs: &[Value],
    evaluations: usize,
) -> Result<BenchReport, WorkbenchError> {
    let built = build(policy.source(), Include::Policy, TIME_LIMIT)?;
    let shape = built.shape.ok_or(AnalysisError::NoDecision)?;
    let engine = prepared(built.engine)?;
    let rules = rules(&engine, shape)?;
    let values: Vec<RegoValue> = inputs.iter().map(json_value).collect();
    let times = rules.iter().map(|rule| times(&engine, rule, &values, evaluations)).collect();
    let scans = scans(&engine, &rules, inputs, &values)?;
    Ok(BenchReport { inputs: inputs.len(), rules: times, scans })
}

/// Analyzed and scheduled, so that the first evaluation is like the others.
fn prepared(mut engine: Engine) -> Result<Engine, WorkbenchError> {
    prepare(&mut engine)?;
    Ok(engine)
}

fn rules(engine: &Engine, shape: Shape) -> Result<Vec<Timed>, WorkbenchError> {
    let asked: &[&str] = match shape {
        Shape::Decision => &["decision"],
        Shape::Seed { .. } => &["allow", "deny_reason", "quota_remaining"],
    };
    let mut rules: Vec<Timed> = Vec::new();
    for module in modules(engine)? {
        for rule in module.rules {
            let path = format!("{}.{}", module.package, rule.name);
            if rules.iter().any(|known| known.path == path) {
                continue;
            }
            let decides =
                module.package == "data.sentinel.policy" && asked.contains(&rule.name.as_str());
            rules.push(Timed { path, file: module.file.clone(), line: rule.line, decides });
        }
    }
    rules.sort_by_key(|rule| !rule.decides);
    Ok(rules)
}

fn times(engine: &Engine, rule: &Timed, inputs: &[RegoValue], evaluations: usize) -> RuleTimes {
    let mut engine = engine.clone();
    // Memory is touched and caches are warm, as on a server that has run for a while.
    for input in inputs.iter().take(evaluations / 10) {
        evaluate(&mut engine, &rule.path, input);
    }
    let started = Instant::now();
    let (mut taken, mut errors) = (Vec::with_capacity(evaluations), 0);
    for input in inputs.iter().cycle().take(evaluations) {
        let (time, failed) = evaluate(&mut engine, &rule.path, input);
        taken.push(time);
        errors += usize::from(failed);
        if started.elapsed() > RULE_LIMIT {
            break;
        }
    }
    taken.sort_unstable();
    let at = |percent: usize| {
        let index = taken.len().saturating_sub(1) * percent / 100;
        microseconds(taken.get(index).copied().unwrap_or_default())
    };
    RuleTimes {
        rule: rule.path.clone(),
        file: rule.file.clone(),
        line: rule.line,
        decides: rule.decides,
        evaluations: taken.len(),
        errors,
        p50_us: at(50),
        p99_us: at(99),
        max_us: at(100),
    }
}

/// Evaluates once; whether it failed.
fn evaluate(engine: &mut Engine, rule: &str, input: &RegoValue) -> (Duration, bool) {
    engine.set_input(input.clone());
    let rule = rule.to_owned();
    let started = Instant::now();
    let value = guarded(|| engine.eval_rule(rule));
    let time = started.elapsed();
    drop(engine.take_prints());
    (time, value.is_err())
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Makes one collection after the other larger, and looks for the rules that then take longer.
fn scans(
    engine: &Engine,
    rules: &[Timed],
    inputs: &[Value],
    values: &[RegoValue],
) -> Result<Vec<Scan>, WorkbenchError> {
    let definitions = rule_uses(engine)?;
    let asked = grow::texts(inputs);
    let values = spread(values);
    let usual: Vec<Vec<Duration>> =
        rules.iter().map(|rule| quickest(&mut engine.clone(), rule, &values)).collect();
    let mut scans = Vec::new();
    for collection in grow::collections(&engine.get_data()) {
        let Some(data) = collection.grown(&engine.get_data(), &asked) else { continue };
        let mut grown = engine.clone();
        grown.clear_data();
        grown.add_data(data).map_err(interpreter)?;
        let mut grown = prepared(grown)?;
        let mut slower = Vec::new();
        for (rule, usual) in rules.iter().zip(&usual) {
            // What is slower once may have met a busy machine.
            if slowest(usual, &quickest(&mut grown, rule, &values)).is_some() {
                let before = quickest(&mut engine.clone(), rule, &values);
                let after = quickest(&mut grown, rule, &values);
                slower
                    .extend(slowest(&before, &after).map(|(before, after)| (rule, before, after)));
            }
        }
        scans.extend(causes(&slower, &definitions, &collection));
    }
    Ok(scans)
}

/// Some of the inputs, from all over.
fn spread(inputs: &[RegoValue]) -> Vec<RegoValue> {
    let step = inputs.len().div_ceil(GROWTH_INPUTS).max(1);
    inputs.iter().step_by(step).cloned().collect()
}

/// The least that a rule takes on each of the inputs.
fn quickest(engine: &mut Engine, rule: &Timed, inputs: &[RegoValue]) -> Vec<Duration> {
    let least = |input| {
        let times = (0..GROWTH_ROUNDS).map(|_| evaluate(engine, &rule.path, input).0);
        times.min().unwrap_or_default()
    };
    inputs.iter().map(least).collect()
}

/// Before and after, of the input that became slower by most; `None` when none did by enough.
fn slowest(before: &[Duration], after: &[Duration]) -> Option<(Duration, Duration)> {
    let pairs = before.iter().copied().zip(after.iter().copied());
    let slower = pairs
        .filter(|(before, after)| *after > *before * GROWTH_RATIO && *after > *before + GROWTH);
    slower.max_by_key(|(before, after)| after.saturating_sub(*before))
}

/// Of the rules that became slower, those that refer to no other that did.
fn causes<'a>(
    slower: &'a [(&'a Timed, Duration, Duration)],
    definitions: &'a [RuleUses],
    collection: &'a Collection,
) -> impl Iterator<Item = Scan> + 'a {
    let uses = |rule: &Timed, other: &Timed| {
        let definitions = definitions.iter().filter(|found| dotted(&found.path) == rule.path);
        definitions.flat_map(|found| &found.uses).any(|used| is_of(&dotted(used), &other.path))
    };
    let caused = move |rule: &Timed| {
        slower.iter().any(|(other, ..)| other.path != rule.path && uses(rule, other))
    };
    slower.iter().filter(move |(rule, ..)| !caused(rule)).map(|(rule, before, after)| Scan {
        rule: rule.path.clone(),
        file: rule.file.clone(),
        line: rule.line,
        data: collection.name(),
        added: grow::ADDED,
        before_us: microseconds(*before),
        after_us: microseconds(*after),
    })
}

fn dotted(path: &[String]) -> String {
    path.iter().fold("data".to_owned(), |text, name| format!("{text}.{name}"))
}

/// Whether a reference is to a rule, to something in it, or to all that a package holds.
fn is_of(used: &str, rule: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    within(used, rule) || within(rule, used)
}
