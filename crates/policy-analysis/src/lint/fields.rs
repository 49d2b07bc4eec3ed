//! Lints about the fields of `input`.

use std::str::FromStr;

use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};

use crate::finding::Lint;
use crate::lint::found::Found;
use crate::lint::scope::{Scope, call, field};
use crate::syntax::{CompareOp, Expr, Step};

/// The fields of `input`, and what they hold where that is fixed.
pub(crate) const FIELDS: [(&str, &[&str]); 11] = [
    ("action", &[]),
    ("agent", &[]),
    ("arguments", &[]),
    ("context", &[]),
    ("principal", &["id", "roles"]),
    ("purpose", &[]),
    ("tenant", &[]),
    ("time", &[]),
    ("tool", &[]),
    ("tool_record", &["digest", "metadata", "owner", "scopes", "url"]),
    ("usage", &[]),
];

/// Fields that every input has, as text.
const ALWAYS: [&str; 4] = ["input.action", "input.tenant", "input.time", "input.tool"];

/// `input.tenent`: a field that no input has.
pub(crate) fn unknown(expr: &Expr, found: &mut Found<'_>) {
    let (Some(reference), _) = expr.reference() else { return };
    let ("input", Some(Step::Name(first))) = (reference.root, reference.steps.first()) else {
        return;
    };
    let (names, prefix): (Vec<&str>, _) = match FIELDS.iter().find(|(name, _)| name == first) {
        None => (FIELDS.iter().map(|(name, _)| *name).collect(), String::new()),
        Some((_, [])) => return,
        Some((_, inner)) => (inner.to_vec(), format!("{first}.")),
    };
    let step = if prefix.is_empty() { Some(first) } else { second(&reference.steps) };
    let Some(name) = step.filter(|name| !names.contains(name)) else { return };
    let near = names.iter().find(|known| is_near(known, name));
    let hint = near.map_or_else(
        || format!("it has {}", names.join(", ")),
        |near| format!("did you mean `input.{prefix}{near}`?"),
    );
    let owner = format!("input.{prefix}");
    let message = format!("`{}` has no field `{name}`; {hint}", owner.trim_end_matches('.'));
    found.add(Lint::UnknownInputField, expr.span().unwrap_or(reference.span), message);
}

fn second<'a>(steps: &'a [Step<'a>]) -> Option<&'a &'a str> {
    match steps.get(1)? {
        Step::Name(name) => Some(name),
        Step::Dynamic(_) => None,
    }
}

/// Whether two names differ in one or two letters.
fn is_near(a: &str, b: &str) -> bool {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, pair), left) in b.iter().zip(row.windows(2)).zip(0..) {
            let (diagonal, above) = match pair {
                [diagonal, above] => (*diagonal, *above),
                _ => return false,
            };
            let before = next.get::<usize>(left).copied().unwrap_or(above);
            next.push((diagonal + usize::from(x != *y)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().is_some_and(|distance| *distance <= 2)
}

/// `input.usage < 10` without `is_number(input.usage)`, and `input.tool == "Not A Name"`.
pub(crate) fn compared(expr: &Expr, scope: &Scope<'_>, found: &mut Found<'_>) {
    let Expr::Compare { span, op, lhs, rhs } = expr else { return };
    for (side, other) in [(lhs, rhs), (rhs, lhs)] {
        // The scope knows what each variable was assigned, so this covers both.
        let Some(key) = field(side).or_else(|| scope_key(scope, side)) else { continue };
        match op {
            CompareOp::Eq => impossible(&key, other, *span, found),
            CompareOp::Ne => {}
            _ if ALWAYS.contains(&key.as_str()) || scope.is_checked(&key) => {}
            _ => {
                let message = format!("`{key}` is compared, but nothing checks its type");
                found.add(Lint::UncheckedComparison, *span, message);
            }
        }
    }
}

fn scope_key(scope: &Scope<'_>, expr: &Expr) -> Option<String> {
    let Expr::Var { value, .. } = expr else { return None };
    scope.alias(value).and_then(field)
}

fn impossible(key: &str, other: &Expr, span: crate::syntax::Span, found: &mut Found<'_>) {
    let (Expr::String { value } | Expr::RawString { value }) = other else { return };
    let possible = match key {
        "input.tool" => is_name::<ToolName>(value),
        "input.tenant" => is_name::<TenantSlug>(value),
        "input.action" => is_name::<Action>(value),
        "input.agent" => is_name::<AgentName>(value),
        "input.purpose" => is_name::<Purpose>(value),
        _ => true,
    };
    if !possible {
        found.add(Lint::NeverMatches, span, format!("`{key}` is never {value:?}"));
    }
}

/// Whether the text is a name in the form in which names reach the policy.
fn is_name<T: FromStr + ToString>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|name| name.to_string() == text)
}

fn may_be_missing(key: &str, scope: &Scope<'_>) -> bool {
    !ALWAYS.contains(&key) && !scope.is_defined(key)
}

/// `sprintf("%v", [input.usage])` in a rule that collects reasons.
pub(crate) fn in_message(expr: &Expr, scope: &Scope<'_>, found: &mut Found<'_>) {
    let Some((name, params)) = call(expr) else { return };
    if !matches!(name.as_str(), "sprintf" | "concat") {
        return;
    }
    let items = params.iter().flat_map(|param| match param {
        Expr::Array { items } => items.iter().collect::<Vec<_>>(),
        other => vec![other],
    });
    for item in items {
        if let Some(key) = field(item).filter(|key| may_be_missing(key, scope)) {
            let message = format!("the reason is lost when `{key}` is missing");
            found.add(Lint::UndefinedInMessage, item.span().unwrap_or_default(), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_schema() {
        let schema = crate::input_document::input_schema();
        let names = |of: &serde_json::Value| -> Vec<String> {
            of["properties"].as_object().map_or_else(Vec::new, |all| all.keys().cloned().collect())
        };
        assert_eq!(names(&schema), FIELDS.map(|(name, _)| name));
        for (name, inner) in FIELDS {
            assert_eq!(names(&schema["properties"][name]), inner, "{name}");
        }
    }
}
