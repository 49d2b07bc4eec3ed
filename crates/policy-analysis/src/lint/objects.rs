//! Objects as patterns. Where the engine takes the parts of a pattern one by one, an object in it
//! matches objects with more fields, too, and in OPA only those with the same. So they are refused,
//! unless the text shows that nothing with more fields can be there.

use std::collections::BTreeMap;

use regorus::Value;

use crate::syntax::depend::{Facts, Path};
use crate::syntax::{AssignOp, Body, Expr, Head, Literal, Query, Rule};

/// Whether it has an object and is not a value written out, which is compared as a whole.
pub(super) fn has_object(pattern: &Expr) -> bool {
    !pattern.is_literal() && contains_object(pattern)
}

/// Whether it has an object where the parts are taken one by one.
pub(super) fn contains_object(pattern: &Expr) -> bool {
    match pattern {
        Expr::Object { .. } => true,
        Expr::Array { items } => items.iter().any(contains_object),
        _ => false,
    }
}

type Fields = [(serde::de::IgnoredAny, Expr, Expr)];

/// The values of an object by their keys, where those are texts.
fn by_key(fields: &Fields) -> Option<BTreeMap<&str, &Expr>> {
    fields.iter().map(|(_, key, value)| Some((text(key)?, value))).collect()
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::String { value } | Expr::RawString { value } => Some(value),
        _ => None,
    }
}

/// Whether an object in `pattern` may meet one with more fields in `value`.
pub(super) fn may_match_more(pattern: &Expr, value: &Expr) -> bool {
    match (pattern, value) {
        (Expr::Object { fields }, Expr::Object { fields: others }) => {
            if let ([(_, _, one)], [(_, _, other)]) = (fields.as_slice(), others.as_slice()) {
                return may_match_more(one, other);
            }
            let (Some(own), Some(others)) = (by_key(fields), by_key(others)) else { return true };
            // Where a field is missing, it matches in neither.
            let all = own.keys().all(|key| others.contains_key(key));
            let inner = |(key, own): (&&str, &&Expr)| {
                others.get(key).is_some_and(|other| may_match_more(own, other))
            };
            all && (own.len() != others.len() || own.iter().any(inner))
        }
        (Expr::Array { items }, Expr::Array { items: others }) => {
            items.iter().zip(others).any(|(item, other)| may_match_more(item, other))
        }
        (Expr::Object { .. } | Expr::Array { .. }, other) => {
            contains_object(pattern)
                && !matches!(
                    other,
                    Expr::String { .. }
                        | Expr::RawString { .. }
                        | Expr::Number { .. }
                        | Expr::Bool { .. }
                        | Expr::Null {}
                )
        }
        _ => false,
    }
}

/// The same of a value that the policy brings as data.
fn may_match_more_of(pattern: &Expr, value: &Value) -> bool {
    match (pattern, value) {
        (Expr::Object { fields }, Value::Object(others)) => {
            let Some(own) = by_key(fields) else { return true };
            let other = |key: &str| others.get(&Value::from(key));
            let all = own.keys().all(|key| other(key).is_some());
            let inner = |(key, own): (&&str, &&Expr)| {
                other(key).is_some_and(|other| may_match_more_of(own, other))
            };
            all && (own.len() != others.len() || own.iter().any(inner))
        }
        (Expr::Array { items }, Value::Array(others)) => {
            items.iter().zip(others.iter()).any(|(item, other)| may_match_more_of(item, other))
        }
        _ => false,
    }
}

/// Whether a pattern is held against parts of the policy's data alone, none of which has more. Only
/// below lists: elsewhere, a server may add to the data.
pub(super) fn fits_data(pattern: &Expr, expr: &Expr, data: &Value) -> bool {
    let (Some(reference), _) = expr.reference() else { return false };
    if reference.root != "data" {
        return false;
    }
    let known = reference.known().count();
    let found = reference
        .known()
        .try_fold(data, |at, name| at.as_object().ok()?.get(&Value::from(name.as_str())));
    let Some(list @ Value::Array(_)) = found else { return false };
    let mut parts = vec![list];
    for _ in known..reference.steps.len() {
        parts = parts.into_iter().flat_map(members).collect();
    }
    parts.iter().all(|part| !may_match_more_of(pattern, part))
}

/// The members of what `some … in data.list` takes them from.
pub(super) fn members_fit_data(pattern: &Expr, expr: &Expr, data: &Value) -> bool {
    let (Some(reference), _) = expr.reference() else { return false };
    let found = reference
        .known()
        .try_fold(data, |at, name| at.as_object().ok()?.get(&Value::from(name.as_str())));
    let whole = reference.root == "data" && reference.known().count() == reference.steps.len();
    match found {
        Some(list @ Value::Array(_)) if whole => {
            members(list).iter().all(|part| !may_match_more_of(pattern, part))
        }
        _ => false,
    }
}

fn members(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.iter().map(|(_, value)| value).collect(),
        Value::Set(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether no member, or key, of a collection that is written in the text has more fields.
pub(super) fn members_fit(pattern: &Expr, collection: &Expr, keys: bool) -> bool {
    match collection {
        Expr::Array { .. } | Expr::Set { .. } if keys => false,
        Expr::Array { items } | Expr::Set { items } => {
            items.iter().all(|item| !may_match_more(pattern, item))
        }
        Expr::Object { fields } => fields
            .iter()
            .all(|(_, key, value)| !may_match_more(pattern, if keys { key } else { value })),
        _ => false,
    }
}

/// Whether every call of a function passes something that has no more fields at a place.
pub(super) fn all_calls_fit(pattern: &Expr, place: usize, path: &Path, facts: &Facts<'_>) -> bool {
    let replaces = facts.replacements.iter().any(|(_, other)| other == path);
    !replaces
        && facts.calls.iter().filter(|call| call.targets.contains(path)).all(|call| {
            let param = call.params.and_then(|params| params.get(place));
            param.is_some_and(|param| !may_match_more(pattern, param))
        })
}

/// How often each variable is where it may get its value, in all of a rule.
pub(super) fn bindings(rule: &Rule) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    if let Rule::Spec { head, bodies, .. } = rule {
        if let Head::Func { args, .. } = head {
            args.iter().for_each(|arg| bound(arg, &mut found));
        }
        for Body { query, .. } in bodies {
            of_query(query, &mut found);
        }
    }
    found
}

fn of_query<'a>(query: &'a Query, found: &mut BTreeMap<&'a str, usize>) {
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection } => {
                key.iter().chain([value, collection]).for_each(|expr| bound(expr, found));
            }
            Literal::Expr { expr } | Literal::NotExpr { expr } => match expr {
                Expr::Compare { lhs, rhs, .. } => {
                    [lhs, rhs].into_iter().for_each(|side| operand(side, found));
                }
                other => bound(other, found),
            },
            // Its variables are known only by their places: whatever has their names is bound
            // twice.
            Literal::Every { domain, query, .. } => {
                bound(domain, found);
                of_query(query, found);
                of_query(query, found);
            }
        }
    }
}

/// A side of a comparison gives no variable a value, but an index in it may.
fn operand<'a>(expr: &'a Expr, found: &mut BTreeMap<&'a str, usize>) {
    if !matches!(expr, Expr::Var { .. }) {
        bound(expr, found);
    }
}

fn bound<'a>(expr: &'a Expr, found: &mut BTreeMap<&'a str, usize>) {
    match expr {
        Expr::Var { value, .. } => *found.entry(value).or_default() += 1,
        Expr::RefDot { refr, .. } => operand(refr, found),
        Expr::RefBrack { refr, index, .. } => {
            operand(refr, found);
            bound(index, found);
        }
        other => {
            other.children().into_iter().for_each(|child| bound(child, found));
            if let Some((query, terms)) = other.comprehension() {
                of_query(query, found);
                terms.into_iter().for_each(|term| bound(term, found));
            }
        }
    }
}

/// Whether an equation is held open by one side: `{"a": x} = y`.
pub(super) fn opens_up(op: AssignOp, lhs: &Expr, rhs: &Expr) -> bool {
    let one = |pattern: &Expr, value: &Expr| match (pattern, value) {
        (Expr::Object { .. } | Expr::Array { .. }, Expr::Object { .. } | Expr::Array { .. }) => {
            may_match_more(pattern, value) || (op == AssignOp::Eq && may_match_more(value, pattern))
        }
        _ => has_object(pattern),
    };
    one(lhs, rhs) || (op == AssignOp::Eq && one(rhs, lhs))
}
