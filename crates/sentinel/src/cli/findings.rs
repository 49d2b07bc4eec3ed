//! How the findings of vetting are shown: with the line and a caret, as compilers do.

use sentinel_policy_analysis::{Finding, Severity};
use sentinel_policy_bundles::SupplyError;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::output;

const YELLOW: &str = "1;33";
const RED: &str = "1;31";

/// Shows why a policy is refused, and fails.
pub(crate) fn refused(error: &SupplyError, json: bool) -> Outcome {
    let findings = error.findings();
    if findings.is_empty() {
        return Err(Failure::new(error.to_string()));
    }
    if json {
        output::json(&json!({ "error": error.to_string(), "findings": as_json(&findings) }))?;
        return Err(Failure::silent());
    }
    show(&findings)?;
    let errors = findings.iter().filter(|found| found.lint.severity() == Severity::Error).count();
    Err(Failure::new(format!("the policy is refused; errors: {errors}")))
}

/// The findings for programs, each with what it means and how to fix it.
pub(crate) fn as_json(findings: &[Finding]) -> Vec<Value> {
    let one = |found: &Finding| {
        let place = found.place.as_ref();
        json!({
            "code": found.lint.code(),
            "severity": found.lint.severity(),
            "message": found.message,
            "file": found.file,
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "length": place.map(|place| place.length),
            "why": found.lint.why(),
            "fix": found.lint.fix(),
        })
    };
    findings.iter().map(one).collect()
}

/// The findings for people.
pub(crate) fn show(findings: &[Finding]) -> Outcome {
    findings.iter().flat_map(lines).try_for_each(|line| output::line(&line))
}

fn lines(found: &Finding) -> Vec<String> {
    let (style, word) = match found.lint.severity() {
        Severity::Error => (RED, "error"),
        Severity::Warning => (YELLOW, "warning"),
    };
    let title = output::styled(style, &format!("{word}[{}]", found.lint.code()));
    let mut lines = vec![format!("{title}: {}", output::printable(&found.message))];
    let file = found.file.as_deref().map(output::printable);
    match (file, &found.place) {
        (Some(file), Some(place)) => {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            // A tab is as wide as it is shown here, or the caret would be in the wrong place.
            let (before, _) = split(&place.source, place.column);
            let indent = " ".repeat(before.replace('\t', "    ").chars().count());
            let rest = place.source.chars().count().saturating_sub(before.chars().count()).max(1);
            let length = usize::try_from(place.length).unwrap_or(1).clamp(1, rest);
            let carets = output::styled(style, &"^".repeat(length));
            let source = place.source.replace('\t', "    ");
            lines.push(format!("{margin}--> {file}:{number}:{}", place.column));
            lines.push(format!("{margin} |"));
            lines.push(format!("{number} | {}", output::printable(&source)));
            lines.push(format!("{margin} | {indent}{carets}"));
        }
        (Some(file), None) => lines.push(format!(" --> {file}")),
        _ => {}
    }
    lines.push(format!("  = {}", found.lint.why()));
    lines.push(format!("  = {} {}", output::styled(output::BOLD, "help:"), found.lint.fix()));
    lines.push(String::new());
    lines
}

/// The line before a column, counted in characters from 1, and from it on.
fn split(line: &str, column: u32) -> (&str, &str) {
    let before = usize::try_from(column.saturating_sub(1)).unwrap_or_default();
    let at = line.char_indices().nth(before).map_or(line.len(), |(at, _)| at);
    line.split_at(at)
}
