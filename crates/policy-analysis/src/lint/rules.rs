//! Lints about the shape of rules.

use crate::finding::Lint;
use crate::lint::found::{Context, Found, Sets};
use crate::lint::scope::{Scope, call, rule_path};
use crate::syntax::depend::{Facts, Path, path_of};
use crate::syntax::{CompareOp, Expr, File, Head, Literal, Query, Rule, Span, Step};

/// Collects the rules that build sets.
pub(crate) fn sets(files: &[File]) -> Sets {
    let mut sets = Sets::new();
    for file in files {
        let package = path_of(&file.ast.package.refr);
        for rule in &file.ast.rules {
            let Rule::Spec { head: head @ Head::Set { key, .. }, bodies, .. } = rule else {
                continue;
            };
            let path = package.iter().cloned().chain(head.name()).collect();
            let enumerates = matches!(key, Some(Expr::Var { .. })) && !bodies.is_empty();
            *sets.entry(path).or_default() |= enumerates;
        }
    }
    sets
}

fn is_set(expr: &Expr, context: &Context<'_>) -> Option<Path> {
    let (reference, _) = expr.reference();
    let whole = reference?.steps.iter().all(|step| matches!(step, Step::Name(_)));
    let path = rule_path(expr, context.package).filter(|_| whole)?;
    context.sets.contains_key(&path).then_some(path)
}

/// The set that an expression counts: `count(deny)`.
fn counted(expr: &Expr, scope: &Scope<'_>, context: &Context<'_>) -> Option<Path> {
    let expr = match expr {
        Expr::Var { value, .. } => scope.alias(value).unwrap_or(expr),
        other => other,
    };
    let (name, params) = call(expr)?;
    match params {
        [set] if name == "count" => is_set(set, context),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<i64> {
    let Expr::Number { value } = expr else { return None };
    value.as_i64()
}

fn is_empty_set(expr: &Expr) -> bool {
    matches!(expr, Expr::Set { items } if items.is_empty())
        || call(expr).is_some_and(|(name, params)| name == "set" && params.is_empty())
}

/// `count(deny) == 0`, `deny == set()`.
pub(crate) fn emptiness(
    expr: &Expr,
    scope: &Scope<'_>,
    context: &Context<'_>,
    found: &mut Found<'_>,
) {
    let Expr::Compare { span, op, lhs, rhs } = expr else { return };
    let empty = match op {
        CompareOp::Eq => either(lhs, rhs, |a, b| {
            let zero = number(b) == Some(0);
            if is_empty_set(b) {
                is_set(a, context)
            } else {
                counted(a, scope, context).filter(|_| zero)
            }
        }),
        CompareOp::Lt => counted(lhs, scope, context).filter(|_| number(rhs) == Some(1)),
        CompareOp::Le => counted(lhs, scope, context).filter(|_| number(rhs) == Some(0)),
        _ => None,
    };
    if let Some(path) = empty {
        negative(&path, *span, found);
    }
}

/// `not count(deny) > 0`.
pub(crate) fn negated(
    expr: &Expr,
    scope: &Scope<'_>,
    context: &Context<'_>,
    found: &mut Found<'_>,
) {
    let Expr::Compare { span, op: CompareOp::Gt | CompareOp::Ne, lhs, rhs } = expr else { return };
    if let Some(path) = counted(lhs, scope, context).filter(|_| number(rhs) == Some(0)) {
        negative(&path, *span, found);
    }
}

fn either<T>(a: &Expr, b: &Expr, test: impl Fn(&Expr, &Expr) -> Option<T>) -> Option<T> {
    test(a, b).or_else(|| test(b, a))
}

fn negative(path: &Path, span: Span, found: &mut Found<'_>) {
    let message =
        format!("holds when `data.{}` is empty, which it also is when it fails", path.join("."));
    found.add(Lint::NegativeAllow, span, message);
}

/// `allow if not denied`, and nothing else.
pub(crate) fn absence(path: &Path, head: &Head, query: &Query, found: &mut Found<'_>) {
    let has_value = matches!(head, Head::Compr { assign, .. }
        if assign.as_ref().is_none_or(|assign| matches!(assign.value, Expr::Bool { value: true })));
    let negative =
        |statement: &crate::syntax::Statement| matches!(statement.literal, Literal::NotExpr { .. });
    if !is_decision(path, "allow")
        || !has_value
        || query.stmts.is_empty()
        || !query.stmts.iter().all(negative)
    {
        return;
    }
    let Head::Compr { refr, .. } = head else { return };
    let span = refr.span().unwrap_or_default();
    found.add(Lint::AllowByAbsence, span, "`allow` requires nothing, it only rules out");
}

fn is_decision(path: &Path, name: &str) -> bool {
    matches!(path.as_slice(), [a, b, c] if a == "sentinel" && b == "policy" && c == name)
}

/// `allowed_tool[input.tool]`, `input.tool in allowed_tools`.
pub(crate) fn whole_set(expr: &Expr, context: &Context<'_>, found: &mut Found<'_>) {
    let path = match expr {
        Expr::Membership { collection, .. } => is_set(collection, context),
        Expr::RefBrack { refr, index, .. } if is_of_input(index) => is_set(refr, context),
        _ => None,
    };
    let enumerated = |path: &Path| context.sets.get(path).is_some_and(|enumerates| *enumerates);
    if let (Some(path), Some(span)) = (path.filter(enumerated), expr.span()) {
        let message = format!("builds all of `data.{}` to look up one member", path.join("."));
        found.add(Lint::WholeSet, span, message);
    }
}

fn is_of_input(expr: &Expr) -> bool {
    expr.reference().0.is_some_and(|reference| reference.root == "input")
}

/// The rule that decides needs a default, and not one that allows.
pub(crate) fn defaults<'f>(files: &'f [File], facts: &Facts<'_>, found: &mut Found<'f>) {
    let defines = |name| facts.definitions.iter().any(|found| is_decision(&found.path, name));
    let name = if defines("decision") { "decision" } else { "allow" };
    let (mut first, mut total) = (None, false);
    for file in files {
        let package = path_of(&file.ast.package.refr);
        found.file = &file.source.file;
        for rule in &file.ast.rules {
            match rule {
                Rule::Default { span, refr, value, .. } => {
                    let root = refr.reference().0.map(|reference| reference.root.to_owned());
                    let path = package.iter().cloned().chain(root).collect();
                    total |= is_decision(&path, name);
                    if is_decision(&path, "allow") && matches!(value, Expr::Bool { value: true }) {
                        found.add(Lint::DefaultAllow, *span, "`allow` is true by default");
                    }
                }
                Rule::Spec { span, head, bodies } => {
                    let path = package.iter().cloned().chain(head.name()).collect();
                    if is_decision(&path, name) {
                        total |= bodies.is_empty();
                        total |= bodies.iter().any(|body| body.query.stmts.is_empty());
                        first.get_or_insert((&file.source.file, *span));
                    }
                }
            }
        }
    }
    if let (Some((file, span)), false) = (first, total) {
        found.file = file;
        found.add(Lint::NoDefault, span, format!("`{name}` has no default"));
    }
}
