//! Traps of writing policies that can be seen in the text. None of these lints is needed to keep
//! the process alive; they keep a policy from meaning something else than its author thinks.
//!
//! Where the text leaves it open, nothing is found: a lint with false alarms is switched off.

mod certain;
mod fields;
mod found;
mod objects;
mod opa;
mod patterns;
mod rules;
mod scope;
mod shapes;
mod unit;
mod usage;

use self::found::{Context, Found};
use self::scope::Scope;
use crate::finding::Finding;
use crate::syntax::depend::{Facts, Path, path_of};
use crate::syntax::{Body, Expr, File, Head, Literal, Query, Rule};

/// Runs all lints over the files that decide.
pub(crate) fn run(files: &[File], facts: &Facts<'_>, data: &regorus::Value) -> Vec<Finding> {
    let sets = rules::sets(files);
    let checks = scope::checks(files);
    let mut found = Found::new(files);
    for file in files {
        let package = path_of(&file.ast.package.refr);
        found.file = &file.source.file;
        for rule in &file.ast.rules {
            let context = Context { package: &package, sets: &sets, checks: &checks };
            one_rule(rule, &context, &mut found);
        }
    }
    rules::defaults(files, facts, &mut found);
    opa::check(files, facts, data, &mut found);
    usage::without_quota(files, &mut found);
    patterns::check(files, facts, data, &mut found);
    found.into_findings()
}

fn one_rule(rule: &Rule, context: &Context<'_>, found: &mut Found<'_>) {
    let Rule::Spec { head, bodies, .. } = rule else { return };
    let mut exprs: Vec<&Expr> = head.value().into_iter().collect();
    let partial = matches!(head, Head::Set { .. });
    let path: Path = context.package.iter().cloned().chain(head.name()).collect();
    if bodies.is_empty() {
        let scope = Scope::default();
        exprs.into_iter().for_each(|expr| look(expr, &scope, partial, context, found));
        return;
    }
    for Body { assign, query } in bodies {
        exprs.extend(assign.iter().map(|assign| &assign.value));
        rules::absence(&path, head, query, found);
        let scope = Scope::default().within(query, context);
        statements(query, &scope, partial, context, found);
        // The head belongs to the first body; each further one has a value of its own.
        exprs.drain(..).for_each(|expr| look(expr, &scope, partial, context, found));
    }
}

fn statements(
    query: &Query,
    scope: &Scope<'_>,
    partial: bool,
    context: &Context<'_>,
    found: &mut Found<'_>,
) {
    for statement in &query.stmts {
        let mut see = |expr| look(expr, scope, partial, context, found);
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection } => {
                key.iter().chain([value, collection]).for_each(see);
            }
            Literal::Expr { expr } => see(expr),
            Literal::NotExpr { expr } => {
                see(expr);
                rules::negated(expr, scope, context, found);
            }
            Literal::Every { domain, query, .. } => {
                see(domain);
                let inner = scope.within(query, context);
                statements(query, &inner, partial, context, found);
            }
        }
    }
}

/// Looks at one expression and all it holds.
fn look(
    expr: &Expr,
    scope: &Scope<'_>,
    partial: bool,
    context: &Context<'_>,
    found: &mut Found<'_>,
) {
    fields::unknown(expr, found);
    fields::compared(expr, scope, found);
    rules::emptiness(expr, scope, context, found);
    rules::whole_set(expr, context, found);
    if partial {
        fields::in_message(expr, scope, found);
    }
    expr.operands().into_iter().for_each(|expr| look(expr, scope, partial, context, found));
    if let Some((query, terms)) = expr.comprehension() {
        let inner = scope.within(query, context);
        statements(query, &inner, partial, context, found);
        terms.into_iter().for_each(|term| look(term, &inner, partial, context, found));
    }
}
