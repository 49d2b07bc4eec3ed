//! Objects as patterns, rules whose names have variables, orders of values of two kinds, and some
//! builtins: what they come to here and in OPA differs in ways that no function of ours can change.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use crate::finding::Lint;
use crate::lint::found::Found;
use crate::lint::objects::{
    all_calls_fit, bindings, contains_object, fits_data, has_object, members_fit, members_fit_data,
    opens_up,
};
use crate::lint::scope::call;
use crate::lint::unit;
use crate::syntax::depend::{Facts, Path, path_of};
use crate::syntax::{
    AssignOp, Body, CompareOp, Expr, File, Head, Import, Literal, Query, Rule, Step,
};

/// Looks at all rules of all files.
pub(crate) fn check<'f>(files: &'f [File], facts: &Facts<'_>, data: &Value, found: &mut Found<'f>) {
    let partial: Vec<Path> = files.iter().flat_map(bases).collect();
    let rules: BTreeSet<Path> = files.iter().flat_map(names).collect();
    let functions: BTreeSet<(String, usize)> = files.iter().flat_map(functions).collect();
    for file in files {
        found.file = &file.source.file;
        let package = path_of(&file.ast.package.refr);
        let mut look = Look {
            file,
            package,
            partial: &partial,
            rules: &rules,
            functions: &functions,
            facts,
            data,
            bindings: BTreeMap::new(),
            found,
        };
        for rule in &file.ast.rules {
            look.bindings = bindings(rule);
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
        let (reference, _) = head.refr().reference();
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

/// The first names of all rules.
fn names(file: &File) -> Vec<Path> {
    let package = path_of(&file.ast.package.refr);
    let names = file.ast.rules.iter().filter_map(|rule| {
        let refr = match rule {
            Rule::Default { refr, .. } => refr,
            Rule::Spec { head, .. } => head.refr(),
        };
        let (reference, _) = refr.reference();
        Some(package.iter().cloned().chain([reference?.root.to_owned()]).collect())
    });
    names.collect()
}

/// The last names of all functions, and how many arguments each takes.
fn functions(file: &File) -> Vec<(String, usize)> {
    let functions = file.ast.rules.iter().filter_map(|rule| {
        let Rule::Spec { head: Head::Func { refr, args, .. }, .. } = rule else { return None };
        Some((crate::syntax::names::called(refr).pop()?, args.len()))
    });
    functions.collect()
}

struct Look<'c, 'f, 'g> {
    file: &'f File,
    package: Path,
    partial: &'c [Path],
    rules: &'c BTreeSet<Path>,
    functions: &'c BTreeSet<(String, usize)>,
    facts: &'c Facts<'c>,
    data: &'c Value,
    /// How often each variable of the rule is where it may get its value.
    bindings: BTreeMap<&'f str, usize>,
    found: &'c mut Found<'g>,
}

impl Look<'_, '_, '_> {
    fn rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { value, .. } => self.expr(value),
            Rule::Spec { head, bodies, .. } => {
                if let Head::Func { refr, args, .. } = head {
                    for (place, arg) in args.iter().enumerate() {
                        self.argument(arg, place, refr);
                    }
                }
                head.value().into_iter().for_each(|value| self.expr(value));
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
                    let patterns: Vec<&Expr> = key.iter().chain([value]).collect();
                    self.own_variable(&patterns, collection);
                    key.iter().for_each(|key| self.member(key, collection, true));
                    self.member(value, collection, false);
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
                if unit::is_written_otherwise(expr) {
                    let message = format!(
                        "a fraction from `{name}` has more digits in OPA; compare it or calculate \
                         with it right here, or take a smaller unit"
                    );
                    self.found.add(Lint::DiffersFromOpa, *span, message);
                }
                // What a function gives may be taken by its last argument.
                if let Some(last) = params.last()
                    && has_object(last)
                    && self.may_take_result(&name, params.len())
                {
                    self.refuse_pattern(last);
                }
                if let Some(message) = otherwise(&name, params) {
                    self.found.add(Lint::DiffersFromOpa, *span, message);
                }
            }
            _ => {}
        }
        self.whole(expr);
        let counts = matches!(expr, Expr::Compare { .. } | Expr::Arith { .. });
        let inner = expr
            .operands()
            .into_iter()
            .filter(|expr| !(counts && unit::is_written_otherwise(expr)));
        inner.for_each(|expr| self.expr(expr));
        if let Some((query, terms)) = expr.comprehension() {
            self.query(query);
            terms.into_iter().for_each(|term| self.expr(term));
        }
    }

    /// Whether a call has an argument more than its function, which is held against the result.
    fn may_take_result(&self, name: &str, arguments: usize) -> bool {
        let last = name.rsplit('.').next().unwrap_or(name).to_owned();
        let own =
            arguments.checked_sub(1).is_some_and(|arity| self.functions.contains(&(last, arity)));
        own || (name == "walk" && arguments == 2)
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
            other => other.is_literal(),
        }
    }

    fn unified(&mut self, op: AssignOp, lhs: &Expr, rhs: &Expr) {
        let fits = |pattern: &Expr, other: &Expr| {
            self.is_set_here(other) || (self.has_own_data() && fits_data(pattern, other, self.data))
        };
        if opens_up(op, lhs, rhs) && !fits(lhs, rhs) && !fits(rhs, lhs) {
            self.refuse_pattern(if has_object(lhs) { lhs } else { rhs });
        }
    }

    /// A variable that gets its value by this alone: it has just these fields.
    fn is_set_here(&self, expr: &Expr) -> bool {
        let Expr::Var { value, .. } = expr else { return false };
        self.is_bound(expr) && value != "_" && self.bindings.get(value.as_str()) == Some(&1)
    }

    /// Whether data is as the policy brings it; `with` is among what counts as other input.
    fn has_own_data(&self) -> bool {
        !self.facts.input.other
    }

    fn argument(&mut self, pattern: &Expr, place: usize, function: &Expr) {
        let name = crate::syntax::names::called(function);
        let path: Path = self.package.iter().cloned().chain(name).collect();
        if contains_object(pattern) && !all_calls_fit(pattern, place, &path, self.facts) {
            self.refuse_pattern(pattern);
        }
        self.expr(pattern);
    }

    /// What is between `some` and `in`.
    fn member(&mut self, pattern: &Expr, collection: &Expr, is_key: bool) {
        let fits = members_fit(pattern, collection, is_key)
            || (!is_key && self.has_own_data() && members_fit_data(pattern, collection, self.data));
        if contains_object(pattern) && !fits {
            self.refuse_pattern(pattern);
        }
        self.expr(pattern);
    }

    /// `some x in […]`, whose list OPA reads on to the next line where that begins with an
    /// operator.
    fn own_variable(&mut self, patterns: &[&Expr], collection: &Expr) {
        for pattern in patterns {
            if let Expr::Var { span, value } = pattern
                && value != "_"
                && collection.mentions(value)
            {
                let message = format!(
                    "`{value}` is declared by `some` and used in what it is taken from; end the \
                     list on its line, and begin the next with no operator"
                );
                self.found.add(Lint::DiffersFromOpa, *span, message);
            }
        }
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
    let alias = import.alias.map(|span| file.text(span));
    let (reference, _) = import.refr.reference();
    let Some(reference) = reference else { return true };
    let last = reference.known().last().unwrap_or_else(|| reference.root.to_owned());
    alias.unwrap_or(&last) == name
}

/// The path that an import gives to a name.
fn imported(import: &Import, file: &File, name: &str) -> Option<Path> {
    let (reference, _) = import.refr.reference();
    let reference = reference.filter(|reference| reference.root == "data")?;
    brings(import, file, name).then(|| reference.known().collect())
}

fn place(expr: &Expr) -> crate::syntax::Span {
    expr.span()
        .or_else(|| {
            expr.children()
                .into_iter()
                .find_map(|child| Some(place(child)).filter(|span| span.line > 0))
        })
        .unwrap_or_default()
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
        expr.is_literal() && !matches!(expr, Expr::Object { .. } | Expr::Array { .. })
    };
    let against = |one: &Expr, other: &Expr| set(one) && !set(other) && !plain(other);
    against(lhs, rhs) || against(rhs, lhs)
}
