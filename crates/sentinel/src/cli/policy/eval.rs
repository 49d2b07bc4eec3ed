//! `sentinel policy eval`: evaluates a policy on an input, and explains.

use std::path::{Path, PathBuf};

use sentinel_core::json::{Limits, parse_object_as};
use sentinel_policy_workbench::{Evaluation, ExplainedBody, ExplainedRule, Explanation, explain};
use serde_json::Value;

use super::source::{Version, vet};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, printable, styled};

/// More than any input that a server makes: what it knows of tool and principal comes on top of the
/// request.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_NODES: usize = 1_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory with `*.rego` and data.
    dir: PathBuf,
    /// The input, JSON; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The rule to evaluate.
    #[arg(long, default_value = "data.sentinel.policy.decision", value_name = "PATH")]
    rule: String,
    /// Shows the result of every rule, and which conditions held, with the values in them.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    pub(crate) version: Version,
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let input = read(&args.input)?;
    let policy = vet(&args.dir, args.version)?;
    if args.explain {
        let explanation = explain(&policy, &args.rule, &input)
            .map_err(|error| Failure::new(error.to_string()))?;
        if json {
            output::json(&explanation)?;
        } else {
            show_explanation(&explanation, &args.rule)?;
        }
        return answer(explanation.result.is_some());
    }
    let evaluation = sentinel_policy_workbench::eval(&policy, &args.rule, &input)
        .map_err(|error| Failure::new(error.to_string()))?;
    if json {
        output::json(&evaluation)?;
    } else {
        show_evaluation(&evaluation, &args.rule)?;
    }
    answer(evaluation.result.is_some())
}

fn answer(defined: bool) -> Outcome {
    if defined { Ok(()) } else { Err(Failure::silent()) }
}

fn read(path: &Path) -> Outcome<Value> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let doing = || format!("cannot read the input `{}`", path.display());
    // As strict as the server, so that nothing is evaluated which no server would read that way.
    let limits = Limits { max_nodes: MAX_NODES, max_bytes: MAX_BYTES, ..Limits::REQUEST };
    parse_object_as(text.or_fail(doing)?.as_bytes(), &limits).or_fail(doing)
}

fn show_evaluation(evaluation: &Evaluation, rule: &str) -> Outcome {
    for line in &evaluation.prints {
        crate::output::tell(&printable(line));
    }
    match &evaluation.result {
        Some(result) => output::json(result),
        None => output::line(&format!("`{rule}` is undefined for this input")),
    }
}

fn show_explanation(explanation: &Explanation, rule: &str) -> Outcome {
    match (&explanation.result, &explanation.error) {
        (Some(result), _) => output::json(result)?,
        (None, Some(error)) => output::line(&format!("`{rule}` fails: {}", printable(error)))?,
        (None, None) => output::line(&format!("`{rule}` is undefined for this input"))?,
    }
    explanation.rules.iter().try_for_each(show_rule)
}

fn show_rule(rule: &ExplainedRule) -> Outcome {
    let value = match (&rule.value, &rule.error) {
        (Some(value), _) => json(value),
        (None, Some(error)) => format!("fails: {}", printable(error)),
        (None, None) => "undefined".to_owned(),
    };
    let place = format!("{}:{}", rule.file, rule.line);
    output::line("")?;
    output::line(&format!(
        "{}  {value}  {}",
        styled(output::BOLD, &printable(&rule.rule)),
        styled(output::DIM, &printable(&place))
    ))?;
    rule.bodies.iter().enumerate().try_for_each(|(index, body)| show_body(index, body))
}

fn show_body(index: usize, body: &ExplainedBody) -> Outcome {
    if index > 0 {
        let note =
            if body.holds.is_none() { "else (not asked: the one above held)" } else { "else" };
        output::line(&format!("  {note}"))?;
    }
    for condition in &body.conditions {
        let word = match (condition.holds, &condition.error) {
            (Some(true), _) => styled(output::GREEN, "holds"),
            (Some(false), _) => styled(output::RED, "fails"),
            (None, Some(_)) => styled(output::RED, "error"),
            (None, None) => styled(output::DIM, "-    "),
        };
        let text = condition.text.split_whitespace().collect::<Vec<_>>().join(" ");
        output::line(&format!("  {word}  {:>4}  {}", condition.line, printable(&text)))?;
        if let Some(error) = &condition.error {
            output::line(&format!("                 {}", printable(error)))?;
        }
        for seen in &condition.values {
            let value = seen.value.as_ref().map_or_else(|| "undefined".to_owned(), json);
            output::line(&format!("                 {} = {value}", printable(&seen.reference)))?;
        }
    }
    Ok(())
}

fn json(value: &Value) -> String {
    output::escape_json(&value.to_string()).into_owned()
}
