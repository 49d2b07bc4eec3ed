//! What holds where an expression is evaluated: which fields are known to be defined, and of which
//! the type was checked, by the statements of the same body.

use std::collections::{BTreeMap, BTreeSet};

use crate::lint::found::{Checks, Context};
use crate::syntax::depend::{Path, path_of};
use crate::syntax::{AssignOp, Expr, File, Literal, Query, Rule, Step};

#[derive(Debug, Default, Clone)]
pub(crate) struct Scope<'a> {
    /// `x := input.usage`: what each variable was assigned.
    aliases: BTreeMap<&'a str, &'a Expr>,
    defined: BTreeSet<String>,
    checked: BTreeSet<String>,
}

impl<'a> Scope<'a> {
    /// The scope inside `query`.
    pub(crate) fn within(&self, query: &'a Query, context: &Context<'_>) -> Self {
        let mut inner = self.clone();
        for statement in &query.stmts {
            match &statement.literal {
                Literal::Expr { expr } => inner.holds(expr, context),
                Literal::SomeIn { collection, .. } => inner.holds(collection, context),
                _ => {}
            }
        }
        inner
    }

    fn holds(&mut self, expr: &'a Expr, context: &Context<'_>) {
        if let Expr::Assign { op: AssignOp::ColEq, lhs, rhs } = expr
            && let Expr::Var { value, .. } = lhs.as_ref()
        {
            self.aliases.insert(value, rhs);
        }
        // A message is undefined with its argument, so it says nothing about the argument.
        if !is_message(expr) {
            self.defines(expr);
        }
        if let Some(checked) = checked(expr) {
            self.checked.extend(self.key(checked));
        }
        if let Some(path) = rule_path(expr, context.package) {
            self.checked.extend(context.checks.get(&path).into_iter().flatten().cloned());
        }
    }

    fn defines(&mut self, expr: &'a Expr) {
        self.defined.extend(self.key(expr));
        expr.children().into_iter().for_each(|child| self.defines(child));
        if let (Some(reference), _) = expr.reference() {
            reference.dynamic().for_each(|step| self.defines(step));
        }
    }

    /// What a variable was assigned.
    pub(crate) fn alias(&self, variable: &str) -> Option<&'a Expr> {
        self.aliases.get(variable).copied()
    }

    /// The field of `input` that an expression is, or that a variable was assigned.
    fn key(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Var { value, .. } => field(self.alias(value)?),
            other => field(other),
        }
    }

    pub(crate) fn is_defined(&self, key: &str) -> bool {
        self.defined.contains(key)
    }

    pub(crate) fn is_checked(&self, key: &str) -> bool {
        self.checked.contains(key)
    }
}

/// `input.a.b` as text.
pub(crate) fn field(expr: &Expr) -> Option<String> {
    let (reference, _) = expr.reference();
    let reference = reference?;
    let known = reference.steps.iter().all(|step| matches!(step, Step::Name(_)));
    (reference.root == "input" && known && !reference.steps.is_empty()).then(|| reference.dotted())
}

/// The function and arguments of a call by name.
pub(crate) fn call(expr: &Expr) -> Option<(String, &[Expr])> {
    let Expr::Call { fcn, params, .. } = expr else { return None };
    let (function, _) = fcn.reference();
    Some((function?.dotted(), params))
}

/// `sprintf(…)`, `concat(…)`, also on the right of `:=`.
fn is_message(expr: &Expr) -> bool {
    match expr {
        Expr::Assign { rhs, .. } => is_message(rhs),
        other => call(other).is_some_and(|(name, _)| matches!(name.as_str(), "sprintf" | "concat")),
    }
}

/// What `is_number(x)` and the like check.
fn checked(expr: &Expr) -> Option<&Expr> {
    let (name, params) = call(expr)?;
    let types = ["is_number", "is_string", "is_boolean", "is_array", "is_object"];
    match params {
        [param] if types.contains(&name.as_str()) => Some(param),
        _ => None,
    }
}

/// The path of the rule that an expression refers to, when it names one plainly.
pub(crate) fn rule_path(expr: &Expr, package: &Path) -> Option<Path> {
    let (reference, _) = expr.reference();
    let reference = reference?;
    match reference.root {
        "input" => None,
        "data" => Some(reference.known().collect()),
        name => Some(package.iter().cloned().chain([name.to_owned()]).collect()),
    }
}

/// Collects what each rule checks.
pub(crate) fn checks(files: &[File]) -> Checks {
    let mut checks = Checks::new();
    for file in files {
        let package = path_of(&file.ast.package.refr);
        for rule in &file.ast.rules {
            let Rule::Spec { head, bodies, .. } = rule else { continue };
            let path: Path = package.iter().cloned().chain(head.name()).collect();
            let statements = bodies.iter().flat_map(|body| &body.query.stmts);
            let fields = statements.filter_map(|statement| match &statement.literal {
                Literal::Expr { expr } => field(checked(expr)?),
                _ => None,
            });
            checks.entry(path).or_default().extend(fields);
        }
    }
    checks
}
