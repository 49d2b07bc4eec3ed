//! A limit on `input.usage` that no quota makes exact.

use std::collections::BTreeSet;

use crate::finding::Lint;
use crate::lint::found::Found;
use crate::lint::scope::field;
use crate::syntax::{AssignOp, Expr, File, Literal, Query, Rule, Span};

const USAGE: &str = "input.usage";

/// `input.usage < 10` in a policy that states no quota anywhere.
pub(crate) fn without_quota<'f>(files: &'f [File], found: &mut Found<'f>) {
    if files.iter().any(|file| states_quota(&file.source.contents)) {
        return;
    }
    for file in files {
        found.file = &file.source.file;
        for rule in &file.ast.rules {
            let Rule::Spec { bodies, .. } = rule else { continue };
            for body in bodies {
                query(&body.query, &BTreeSet::new(), found);
            }
        }
    }
}

/// Whether the text has the word, as a field, a rule or a variable; in comments it means nothing.
fn states_quota(text: &str) -> bool {
    let code = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.flat_map(|line| line.split(move |c| !is_word(c)))
        .any(|word| matches!(word, "quota" | "quota_remaining"))
}

fn query(query_of: &Query, outer: &BTreeSet<String>, found: &mut Found<'_>) {
    let mut aliases = outer.clone();
    for statement in &query_of.stmts {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { collection, .. } => look(collection, &aliases, found),
            Literal::NotExpr { expr } => look(expr, &aliases, found),
            Literal::Every { domain, query: inner, .. } => {
                look(domain, &aliases, found);
                query(inner, &aliases, found);
            }
            Literal::Expr { expr } => {
                look(expr, &aliases, found);
                aliases.extend(alias(expr));
            }
        }
    }
}

/// The variable of `u := input.usage`.
fn alias(expr: &Expr) -> Option<String> {
    let Expr::Assign { op: AssignOp::ColEq, lhs, rhs } = expr else { return None };
    let Expr::Var { value, .. } = lhs.as_ref() else { return None };
    is_usage(rhs, &BTreeSet::new()).then(|| value.clone())
}

fn is_usage(expr: &Expr, aliases: &BTreeSet<String>) -> bool {
    match expr {
        Expr::Var { value, .. } => aliases.contains(value),
        other => field(other).as_deref() == Some(USAGE),
    }
}

fn look(expr: &Expr, aliases: &BTreeSet<String>, found: &mut Found<'_>) {
    if let Expr::Compare { span, lhs, rhs, .. } = expr
        && (is_usage(lhs, aliases) || is_usage(rhs, aliases))
    {
        report(*span, found);
    }
    for child in expr.children() {
        look(child, aliases, found);
    }
    if let Some((inner, terms)) = expr.comprehension() {
        query(inner, aliases, found);
        terms.into_iter().for_each(|term| look(term, aliases, found));
    }
}

fn report(span: Span, found: &mut Found<'_>) {
    let message = format!("`{USAGE}` is limited by a condition, and the policy states no `quota`");
    found.add(Lint::UsageWithoutQuota, span, message);
}
