//! Objects as patterns, rules whose names have variables, orders of values of two kinds, and some
//! builtins: what they come to here and in OPA differs in ways that no function of ours can change.

use std::collections::BTreeSet;

use crate::ast::{AssignOp, Body, CompareOp, Expr, File, Head, Import, Literal, Query, Rule, Step};
use crate::depend::{Path, path_of};
use crate::finding::Lint;
use crate::lint::Found;
use crate::lint::scope::call;

/// Looks at all rules of all files.
pub(crate) fn check<'f>(files: &'f [File], found: &mut Found<'f>) {
    let partial: Vec<Path> = files.iter().flat_map(bases).collect();
    let rules: BTreeSet<Path> = files.iter().flat_map(names).collect();
    for file in files {
        found.file = &file.source.file;
        let package = path_of(&file.ast.package.refr);
        let mut look = Look { file, package, partial: &partial, rules: &rules, found };
        for rule in &file.ast.rules {
            look.rule(rule);
        }
    }
}

/// The known parts of the names of rules that have a variable before their last step, or after more
/// than a name: `tree` of `tree[k].amount` and of `tree.part[k]`.
fn bases(file: &File) -> Vec<Path> {
    let package = path_of(&file.ast.package.refr);
    let heads = file.ast.rules.iter().filter_map(|rule| match rule {
        Rule::Spec { head: head @ (Head::Compr { .. } | Head::Set { .. }), .. } => Some(head),
        _ => None,
    });
    let paths = heads.filter_map(|head| {
        let (reference, _) = name_of(head).reference();
        let reference = reference?;
        let dynamic = reference.steps.iter().position(|step| matches!(step, Step::Dynamic(_)))?;
        let plain =
            dynamic == 0 && reference.steps.len() == 1 && matches!(head, Head::Compr { .. });
        let known = reference.known().take(dynamic);
        let path = package.iter().cloned().chain([reference.root.to_owned()]).chain(known);
        (!plain).then(|| path.collect())
    });
    paths.collect()
}

fn name_of(head: &Head) -> &Expr {
    match head {
        Head::Compr { refr, .. } | Head::Set { refr, .. } | Head::Func { refr, .. } => refr,
    }
}

/// The first names of all rules.
fn names(file: &File) -> Vec<Path> {
    let package = path_of(&file.ast.package.refr);
    let names = file.ast.rules.iter().filter_map(|rule| {
        let refr = match rule {
            Rule::Default { refr, .. } => refr,
            Rule::Spec { head, .. } => name_of(head),
        };
        let (reference, _) = refr.reference();
        Some(package.iter().cloned().chain([reference?.root.to_owned()]).collect())
    });
    names.collect()
}

struct Look<'c, 'f, 'g> {
    file: &'f File,
    package: Path,
    partial: &'c [Path],
    rules: &'c BTreeSet<Path>,
    found: &'c mut Found<'g>,
}

impl Look<'_, '_, '_> {
    fn rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { value, .. } => self.expr(value),
            Rule::Spec { head, bodies, .. } => {
                if let Head::Func { args, .. } = head {
                    args.iter().for_each(|arg| self.pattern(arg));
                }
                let value = match head {
                    Head::Compr { assign, .. } | Head::Func { assign, .. } => {
                        assign.as_ref().map(|assign| &assign.value)
                    }
                    Head::Set { key, .. } => key.as_ref(),
                };
                value.into_iter().for_each(|value| self.expr(value));
                for Body { assign, query } in bodies {
                    assign.iter().for_each(|assign| self.expr(&assign.value));
                    self.query(query);
                }
            }
        }
    }

    fn query(&mut self, query: &Query) {
        for statement in &query.stmts {
            statement.with_mods.iter().for_each(|with| self.expr(&with.replacement));
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection } => {
                    key.iter().chain([value]).for_each(|pattern| self.pattern(pattern));
                    self.expr(collection);
                }
                Literal::Expr { expr } | Literal::NotExpr { expr } => match traced(expr) {
                    // As a condition it holds in both.
                    Some(note) => self.expr(note),
                    None => self.expr(expr),
                },
                Literal::Every { domain, query, .. } => {
                    self.expr(domain);
                    self.query(query);
                }
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Assign { op, lhs, rhs } => self.unified(*op, lhs, rhs),
            Expr::Compare { span, op, lhs, rhs } if orders(*op) && one_is_a_set(lhs, rhs) => {
                let message =
                    "a set and an object are ordered otherwise in OPA; compare sets with sets";
                self.found.add(Lint::DiffersFromOpa, *span, message);
            }
            Expr::Membership { span, key: Some(key), value, .. }
                if !self.is_bound(key) || !self.is_bound(value) =>
            {
                let message = "`key, value in …` holds here when both are undefined; give them \
                               names first: `k := input.…`";
                self.found.add(Lint::DiffersFromOpa, *span, message);
            }
            Expr::Call { span, params, .. } => {
                let name = call(expr).map(|(name, _)| name).unwrap_or_default();
                if let Some(message) = otherwise(&name, params) {
                    self.found.add(Lint::DiffersFromOpa, *span, message);
                }
            }
            _ => {}
        }
        self.whole(expr);
        let (reference, start) = expr.reference();
        let inner: Vec<&Expr> = match (&reference, expr) {
            (Some(reference), _) => reference.dynamic().collect(),
            (None, Expr::RefDot { .. } | Expr::RefBrack { .. }) => {
                start.into_iter().chain(expr.dynamic_steps()).collect()
            }
            (None, other) => other.children(),
        };
        inner.into_iter().for_each(|expr| self.expr(expr));
        if let Some((query, terms)) = expr.comprehension() {
            self.query(query);
            terms.into_iter().for_each(|term| self.expr(term));
        }
    }

    /// Whether it is written out, or a variable, which has a value wherever it is used.
    fn is_bound(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Var { value, .. } => {
                let own = self.package.iter().cloned().chain([value.clone()]).collect::<Path>();
                let is_import =
                    || self.file.ast.imports.iter().any(|import| brings(import, self.file, value));
                !matches!(value.as_str(), "input" | "data")
                    && !self.rules.contains(&own)
                    && !is_import()
            }
            other => is_written_out(other),
        }
    }

    fn unified(&mut self, op: AssignOp, lhs: &Expr, rhs: &Expr) {
        let reversed = op == AssignOp::Eq && opens_up(rhs, lhs);
        if opens_up(lhs, rhs) || reversed {
            self.refuse_pattern(if reversed { rhs } else { lhs });
        }
    }

    /// An argument, or what stands before `in`.
    fn pattern(&mut self, pattern: &Expr) {
        if has_object(pattern) {
            self.refuse_pattern(pattern);
        }
        self.expr(pattern);
    }

    fn refuse_pattern(&mut self, pattern: &Expr) {
        let message = "an object as a pattern matches objects with more fields here and not in OPA; \
                       take the fields one by one: `x := object.field`";
        self.found.add(Lint::DiffersFromOpa, place(pattern), message);
    }

    /// A rule as a whole that is made of entries alone: undefined here without any, `{}` in OPA.
    fn whole(&mut self, expr: &Expr) {
        let (Some(reference), _) = expr.reference() else { return };
        if reference.steps.iter().any(|step| matches!(step, Step::Dynamic(_))) {
            return;
        }
        let known: Path = reference.known().collect();
        let own = self.package.iter().cloned().chain([reference.root.to_owned()]);
        let mut paths: Vec<Path> = match reference.root {
            "data" => vec![known],
            "input" => return,
            _ => vec![own.chain(known).collect()],
        };
        let imported = self.file.ast.imports.iter().filter_map(|import| {
            let path = imported(import, self.file, reference.root)?;
            Some(path.into_iter().chain(reference.known()).collect::<Path>())
        });
        paths.extend(imported);
        let whole = |path: &Path| self.partial.iter().any(|base| base.starts_with(path));
        if paths.iter().any(whole) {
            let message = format!(
                "`{}` is undefined here and `{{}}` in OPA when no body gives an entry; refer to its \
                 entries, or build it with a comprehension",
                reference.dotted()
            );
            self.found.add(Lint::DiffersFromOpa, reference.span, message);
        }
    }
}

/// Whether an import brings in a name.
fn brings(import: &Import, file: &File, name: &str) -> bool {
    let alias = import.alias.and_then(|span| file.source.contents.get(span.start..span.end));
    let (reference, _) = import.refr.reference();
    let Some(reference) = reference else { return true };
    let last = reference.known().last().unwrap_or_else(|| reference.root.to_owned());
    alias.unwrap_or(&last) == name
}

/// The path that a name stands for by an import.
fn imported(import: &Import, file: &File, name: &str) -> Option<Path> {
    let (reference, _) = import.refr.reference();
    let reference = reference.filter(|reference| reference.root == "data")?;
    brings(import, file, name).then(|| reference.known().collect())
}

fn place(expr: &Expr) -> crate::ast::Span {
    expr.span()
        .or_else(|| {
            expr.children()
                .into_iter()
                .find_map(|child| Some(place(child)).filter(|span| span.line > 0))
        })
        .unwrap_or_default()
}

/// Whether an object in `pattern` is held against something that may have other fields.
fn opens_up(pattern: &Expr, value: &Expr) -> bool {
    match (pattern, value) {
        (Expr::Object { fields }, Expr::Object { fields: others }) => {
            let same = |(_, key, _): &(_, Expr, Expr)| {
                text(key)
                    .and_then(|key| others.iter().find(|(_, other, _)| text(other) == Some(key)))
            };
            fields.len() != others.len()
                || fields
                    .iter()
                    .any(|field| same(field).is_none_or(|(_, _, other)| opens_up(&field.2, other)))
        }
        (Expr::Array { items }, Expr::Array { items: others }) => {
            items.iter().zip(others).any(|(item, other)| opens_up(item, other))
        }
        (Expr::Object { .. } | Expr::Array { .. }, _) => has_object(pattern),
        _ => false,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::String { value } | Expr::RawString { value } => Some(value),
        _ => None,
    }
}

/// Whether it has an object that is not a value written out.
fn has_object(pattern: &Expr) -> bool {
    match pattern {
        Expr::Object { fields } => {
            fields.iter().any(|(_, key, value)| !is_written_out(key) || !is_written_out(value))
        }
        Expr::Array { items } => items.iter().any(has_object),
        _ => false,
    }
}

fn is_written_out(expr: &Expr) -> bool {
    match expr {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null {} => true,
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } => {
            expr.children().into_iter().all(is_written_out)
        }
        _ => false,
    }
}

/// `trace("note")`.
fn traced(expr: &Expr) -> Option<&Expr> {
    let (name, params) = call(expr)?;
    match params {
        [note] if name == "trace" => Some(note),
        _ => None,
    }
}

/// Calls whose results are others in OPA, at least with some arguments.
fn otherwise(name: &str, params: &[Expr]) -> Option<&'static str> {
    let parts = |expr: Option<&Expr>| matches!(expr, Some(Expr::Object { .. }));
    let message = match name {
        "trace" => {
            "`trace` returns its note here and `true` in OPA; use it as a condition of its own"
        }
        "rand.intn" if !params.get(1).is_some_and(is_positive) => {
            "`rand.intn` takes only a positive integer here; write it as a literal"
        }
        "time.diff" => {
            "`time.diff` counts otherwise than OPA where clocks are put forward or back; subtract \
             nanoseconds"
        }
        "time.format" => {
            "`time.format` writes some layouts otherwise than OPA; use `time.date` and `time.clock`"
        }
        "time.parse_ns" => {
            "`time.parse_ns` reads some layouts otherwise than OPA; use `time.parse_rfc3339_ns`"
        }
        "json.match_schema" if !parts(params.first()) || !parts(params.get(1)) => {
            "`json.match_schema` reads a text as it is here, and as JSON in OPA; write both as \
             objects: `json.match_schema({\"value\": x}, {\"properties\": {\"value\": …}})`"
        }
        _ => return None,
    };
    Some(message)
}

fn is_positive(expr: &Expr) -> bool {
    matches!(expr, Expr::Number { value } if value.as_u64().is_some_and(|number| number > 0))
}

fn orders(op: CompareOp) -> bool {
    !matches!(op, CompareOp::Eq | CompareOp::Ne)
}

/// Builtins that return sets.
const SETS: [&str; 5] = ["set", "object.keys", "union", "intersection", "graph.reachable"];

/// Whether one side is a set to the eye, and the other may be something else than a set or a
/// number, text or truth value.
fn one_is_a_set(lhs: &Expr, rhs: &Expr) -> bool {
    let set = |expr: &Expr| match expr {
        Expr::Set { .. } | Expr::SetCompr { .. } | Expr::Bin { .. } => true,
        Expr::Call { fcn, .. } => {
            fcn.reference().0.is_some_and(|reference| SETS.contains(&reference.dotted().as_str()))
        }
        _ => false,
    };
    let plain = |expr: &Expr| {
        is_written_out(expr) && !matches!(expr, Expr::Object { .. } | Expr::Array { .. })
    };
    let against = |one: &Expr, other: &Expr| set(one) && !set(other) && !plain(other);
    against(lhs, rhs) || against(rhs, lhs)
}
