//! Traps of writing policies that can be told from the text. None of these lints is needed to keep
//! the process alive; they keep a policy from meaning something else than its author thinks.
//!
//! Where the text does not tell, nothing is found: a lint that cries wolf is switched off.

mod certain;
mod fields;
mod objects;
mod opa;
mod patterns;
mod rules;
mod scope;
mod shapes;
pub(crate) mod syntax;
mod unit;
mod usage;

use crate::ast::{Body, Expr, File, Head, Rule, Span};
use crate::depend::{Facts, Path, path_of};
use crate::finding::{Finding, Lint};
use crate::lint::scope::{Checks, Scope};

/// Runs all lints over the files that decide.
pub(crate) fn run(files: &[File], facts: &Facts<'_>, data: &regorus::Value) -> Vec<Finding> {
    let sets = rules::sets(files);
    let checks = scope::checks(files);
    let mut found = Found { files, file: "", findings: Vec::new() };
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
    found.findings
}

/// What is known while one rule is looked at.
pub(crate) struct Context<'c> {
    package: &'c Path,
    sets: &'c rules::Sets,
    checks: &'c Checks,
}

/// Where findings go.
pub(crate) struct Found<'f> {
    files: &'f [File],
    file: &'f str,
    findings: Vec<Finding>,
}

impl Found<'_> {
    /// What is written at a place of the file that is looked at.
    fn text(&self, span: Span) -> String {
        let file = self.files.iter().find(|file| file.source.file == self.file);
        let text = file.and_then(|file| file.source.contents.get(span.start..span.end));
        text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn add(&mut self, lint: Lint, span: Span, message: impl Into<String>) {
        let finding = Finding::new(lint, message).at(self.files, self.file, span);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

fn one_rule(rule: &Rule, context: &Context<'_>, found: &mut Found<'_>) {
    let Rule::Spec { head, bodies, .. } = rule else { return };
    let (name, mut exprs) = parts(head);
    let partial = matches!(head, Head::Set { .. });
    let path: Path = context.package.iter().cloned().chain(name).collect();
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

/// The name of the rule, and the expressions of its head.
fn parts(head: &Head) -> (Vec<String>, Vec<&Expr>) {
    let (refr, value) = match head {
        Head::Compr { refr, assign } | Head::Func { refr, assign, .. } => {
            (refr, assign.as_ref().map(|assign| &assign.value))
        }
        Head::Set { refr, key } => (refr, key.as_ref()),
    };
    let (reference, _) = refr.reference();
    let name = reference
        .iter()
        .flat_map(|reference| std::iter::once(reference.root.to_owned()).chain(reference.known()));
    (name.collect(), value.into_iter().collect())
}

fn statements(
    query: &crate::ast::Query,
    scope: &Scope<'_>,
    partial: bool,
    context: &Context<'_>,
    found: &mut Found<'_>,
) {
    use crate::ast::Literal;
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
    // The parts of a reference are no references of their own.
    let (reference, start) = expr.reference();
    let inner: Vec<&Expr> = match (&reference, expr) {
        (Some(reference), _) => reference.dynamic().collect(),
        (None, Expr::RefDot { .. } | Expr::RefBrack { .. }) => {
            start.into_iter().chain(expr.dynamic_steps()).collect()
        }
        (None, other) => other.children(),
    };
    inner.into_iter().for_each(|expr| look(expr, scope, partial, context, found));
    if let Some((query, terms)) = expr.comprehension() {
        let inner = scope.within(query, context);
        statements(query, &inner, partial, context, found);
        terms.into_iter().for_each(|term| look(term, &inner, partial, context, found));
    }
}
