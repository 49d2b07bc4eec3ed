//! What each rule refers to: the edges of the graph in which [`crate::checks::graph`] looks for
//! cycles.
//!
//! What a called name means is found as the interpreter finds it ([`crate::syntax::names`]). Where
//! the text leaves it open, more is assumed than is true: a variable that is not known to be local
//! may be a rule, and a reference with a dynamic part refers to all rules below its known part. A
//! policy is then refused that would have been harmless; the reverse must not happen.

use std::collections::BTreeSet;

use crate::syntax::loops::{loops, loops_of};
use crate::syntax::names::{self, Names};
use crate::syntax::{
    AssignOp, Body, Expr, File, Head, Import, Literal, Query, Reference, Rule, Span, Statement,
    Step, With,
};

/// A path from `data`, without it: `["sentinel", "policy", "allow"]`. Builtin functions have paths
/// of their own, which no package can have.
pub(crate) type Path = Vec<String>;

/// Path of a builtin function.
pub(crate) fn builtin(name: &str) -> Path {
    vec!["<builtin>".to_owned(), name.to_owned()]
}

/// One rule, or one of several definitions of it.
#[derive(Debug)]
pub(crate) struct Definition<'a> {
    pub path: Path,
    /// How many parts of the path are those of its package.
    pub package: usize,
    pub file: &'a str,
    pub span: Span,
    /// What it refers to; also prefixes of rules' paths, which mean all of them.
    pub uses: Vec<Path>,
    /// How deep its expressions are nested, itself included: what it costs in stack.
    pub depth: usize,
}

/// A call of a function.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub file: &'a str,
    pub span: Span,
    /// The function as it is written.
    pub name: String,
    /// The function of the policy that is evaluated; none when it is a builtin.
    pub targets: Vec<Path>,
    /// Why it is not plain what is called.
    pub doubt: Option<String>,
    /// Where the name ends in the text of the file.
    pub end: Option<usize>,
    /// `None` when the function is named without being called, as in `with f as g`.
    pub params: Option<&'a [Expr]>,
}

/// Everything that vetting needs to know of a set of files.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    pub definitions: Vec<Definition<'a>>,
    pub calls: Vec<Call<'a>>,
    /// `with f as g`: what is called as the first becomes the second.
    pub replacements: Vec<(Path, Path)>,
    /// What `with` replaces, from `input` or `data` on.
    pub replaced: Vec<Path>,
    pub input: InputUse,
    pub names: Names,
    /// Variables that are looked up by their own value.
    pub unsafe_variables: Vec<(&'a str, Span, &'a str)>,
}

/// What is read of `input`, by whatever rule.
#[derive(Debug, Default)]
pub(crate) struct InputUse {
    /// Fields named in the text.
    pub fields: BTreeSet<String>,
    /// Whether anything reads what the text does not name, or `with` replaces something.
    pub other: bool,
}

/// Collects the facts of all files.
pub(crate) fn collect(files: &[File]) -> Facts<'_> {
    let names = Names::of(files);
    let mut facts = Facts::default();
    for file in files {
        let package = path_of(&file.ast.package.refr);
        facts.input.other |= file.ast.imports.iter().any(is_of_input);
        for rule in &file.ast.rules {
            let mut walk = Walk {
                file,
                package: &package,
                names: &names,
                facts: &mut facts,
                locals: Vec::new(),
                uses: Vec::new(),
                depth: 0,
                deepest: 0,
            };
            walk.rule(rule);
        }
    }
    facts.names = names;
    facts
}

pub(crate) fn path_of(package: &Expr) -> Path {
    let (Some(reference), _) = package.reference() else { return Vec::new() };
    std::iter::once(reference.root.to_owned()).chain(reference.known()).collect()
}

fn is_of_input(import: &Import) -> bool {
    import.refr.reference().0.is_none_or(|reference| reference.root == "input")
}

fn terms(head: &Head) -> Vec<&Expr> {
    std::iter::once(head.refr()).chain(head.value()).collect()
}

struct Walk<'a, 'f> {
    file: &'a File,
    package: &'f Path,
    names: &'f Names,
    facts: &'f mut Facts<'a>,
    /// Variables known to be local, one list for each open scope.
    locals: Vec<Vec<&'a str>>,
    uses: Vec<Path>,
    depth: usize,
    deepest: usize,
}

impl<'a> Walk<'a, '_> {
    fn rule(&mut self, rule: &'a Rule) {
        let none: &[Expr] = &[];
        let (refr, span) = match rule {
            Rule::Default { span, refr, args, value } => {
                // It is evaluated without the arguments.
                self.scope(|walk| walk.expr(value));
                self.scope(|walk| walk.pattern(args));
                (refr, *span)
            }
            Rule::Spec { span, head, bodies } => {
                let (refr, args) = match head {
                    Head::Compr { refr, .. } | Head::Set { refr, .. } => (refr, none),
                    Head::Func { refr, args, .. } => (refr, args.as_slice()),
                };
                self.scope(|walk| {
                    walk.pattern(args);
                    walk.bodies(head, bodies);
                });
                (refr, *span)
            }
        };
        let path = self.package.iter().cloned().chain(names::key(refr)).collect();
        self.facts.definitions.push(Definition {
            path,
            package: self.package.len(),
            file: &self.file.source.file,
            span,
            uses: std::mem::take(&mut self.uses),
            depth: self.deepest + 1,
        });
    }

    /// The head is evaluated within each body, so it is read once in the scope of each.
    fn bodies(&mut self, head: &'a Head, bodies: &'a [Body]) {
        if bodies.is_empty() {
            let terms = terms(head);
            self.inside(loops_of(&terms), |walk| walk.head(head));
        }
        for body in bodies {
            self.scope(|walk| {
                let assigned = body.assign.as_ref().map(|assign| &assign.value);
                let terms: Vec<&Expr> = terms(head).into_iter().chain(assigned).collect();
                walk.query(&body.query, &terms, |walk| {
                    walk.head(head);
                    walk.all(assigned);
                });
            });
        }
    }

    fn head(&mut self, head: &'a Head) {
        if let (Some(reference), _) = head.refr().reference() {
            self.dynamic(&reference);
        }
        self.all(head.value());
    }

    fn scope(&mut self, inside: impl FnOnce(&mut Self)) {
        self.locals.push(Vec::new());
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        inside(self);
        self.depth -= 1;
        self.locals.pop();
    }

    fn declare(&mut self, name: &'a str) {
        // `input` and `data` stay what they are, and `_` is not a variable.
        if !matches!(name, "input" | "data" | "_")
            && let Some(scope) = self.locals.last_mut()
        {
            scope.push(name);
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().flatten().any(|local| *local == name)
    }

    /// Declares the variables of patterns: arguments, and what is left of `:=`.
    fn pattern(&mut self, patterns: impl IntoIterator<Item = &'a Expr>) {
        for pattern in patterns {
            match pattern {
                Expr::Var { value, .. } => self.declare(value),
                Expr::Array { items } => self.pattern(items),
                Expr::Object { fields } => {
                    for (_, key, value) in fields {
                        self.expr(key);
                        self.pattern([value]);
                    }
                }
                other => self.expr(other),
            }
        }
    }

    /// A query and what it yields, which is evaluated where all its loops are open.
    fn query(&mut self, query: &'a Query, terms: &[&'a Expr], yielded: impl FnOnce(&mut Self)) {
        let open = query.stmts.iter().map(loops).sum::<usize>() + loops_of(terms);
        self.inside(open, |walk| {
            walk.statements(query);
            yielded(walk);
        });
    }

    /// What is evaluated inside so many open loops.
    fn inside(&mut self, open: usize, inside: impl FnOnce(&mut Self)) {
        self.depth += open;
        self.deepest = self.deepest.max(self.depth);
        inside(self);
        self.depth -= open;
    }

    fn statements(&mut self, query: &'a Query) {
        self.unsafe_variables(query);
        for Statement { literal, with_mods } in &query.stmts {
            for with in with_mods {
                self.with(with);
            }
            match literal {
                Literal::SomeVars { vars } => {
                    for span in vars {
                        self.declare(self.file.text(*span));
                    }
                }
                Literal::SomeIn { key, value, collection } => {
                    self.expr(collection);
                    self.pattern(key.iter().chain([value]));
                }
                Literal::Expr { expr } => self.expr(expr),
                // Nothing that is declared inside is visible behind it.
                Literal::NotExpr { expr } => self.scope(|walk| walk.expr(expr)),
                Literal::Every { key, value, domain, query } => {
                    self.expr(domain);
                    self.scope(|walk| {
                        for span in key.iter().chain([value]) {
                            walk.declare(walk.file.text(*span));
                        }
                        walk.query(query, &[], |_| {});
                    });
                }
            }
        }
    }

    /// `x = set[x]`, where nothing else binds the variable.
    fn unsafe_variables(&mut self, query: &'a Query) {
        for (index, statement) in query.stmts.iter().enumerate() {
            let Literal::Expr { expr: Expr::Assign { op: AssignOp::Eq, lhs, rhs } } =
                &statement.literal
            else {
                continue;
            };
            let others = || query.stmts.iter().enumerate().filter(|(other, _)| *other != index);
            for (bound, other) in [(lhs, rhs), (rhs, lhs)] {
                let Expr::Var { span, value } = bound.as_ref() else { continue };
                let known = matches!(value.as_str(), "input" | "data" | "_")
                    || self.is_local(value)
                    || self.names.is_known(self.package, value);
                if !known
                    && crate::syntax::loops::is_index(other, value)
                    && !others()
                        .any(|(_, statement)| crate::syntax::loops::mentions(statement, value))
                {
                    let file = self.file.source.file.as_str();
                    self.facts.unsafe_variables.push((file, *span, value));
                }
            }
        }
    }

    fn with(&mut self, with: &'a With) {
        self.facts.input.other = true;
        let before = self.uses.len();
        self.expr(&with.replacement);
        if with.replacement.reference().0.is_some() {
            self.call(&with.replacement, None);
        }
        let replacements: Vec<Path> = self.uses.get(before..).unwrap_or_default().to_vec();
        let (Some(target), _) = with.refr.reference() else { return };
        if target.root == "input" {
            let path = std::iter::once("input".to_owned()).chain(target.known());
            self.facts.replaced.push(path.collect());
            return self.dynamic(&target);
        }
        // A variable of the name is not meant.
        let mut targets = self.names.places(self.package, &target);
        let below_data =
            |path: &Path| ["data".to_owned()].into_iter().chain(path.clone()).collect();
        self.facts.replaced.extend(targets.iter().map(below_data));
        targets.push(builtin(&target.dotted()));
        for target in targets {
            let pairs = replacements.iter().map(|path| (target.clone(), path.clone()));
            self.facts.replacements.extend(pairs);
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        self.inner(expr);
        self.depth -= 1;
    }

    fn inner(&mut self, expr: &'a Expr) {
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null {} => {}
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.refer(expr),
            Expr::Array { items } | Expr::Set { items } => self.all(items),
            Expr::Object { fields } => {
                for (_, key, value) in fields {
                    self.all([key, value]);
                }
            }
            Expr::ArrayCompr { term, query } | Expr::SetCompr { term, query } => {
                self.scope(|walk| walk.query(query, &[term], |walk| walk.expr(term)));
            }
            Expr::ObjectCompr { key, value, query } => self.scope(|walk| {
                let terms = [key.as_ref(), value.as_ref()];
                walk.query(query, &terms, |walk| walk.all(terms));
            }),
            Expr::Call { fcn, params, .. } => {
                self.call(fcn, Some(params));
                self.all(params);
            }
            Expr::Unary { expr } => self.expr(expr),
            Expr::Assign { op: AssignOp::ColEq, lhs, rhs } => {
                self.expr(rhs);
                self.pattern([lhs.as_ref()]);
            }
            Expr::Bin { lhs, rhs }
            | Expr::Compare { lhs, rhs, .. }
            | Expr::Arith { lhs, rhs }
            | Expr::Assign { op: AssignOp::Eq, lhs, rhs } => {
                self.all([lhs.as_ref(), rhs.as_ref()]);
            }
            Expr::Membership { key, value, collection, .. } => {
                self.all(key.as_deref().into_iter().chain([value.as_ref(), collection.as_ref()]));
            }
        }
    }

    fn all(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn refer(&mut self, expr: &'a Expr) {
        match expr.reference() {
            (Some(reference), _) => {
                self.input(&reference);
                self.dynamic(&reference);
                let paths = self.paths(&reference);
                self.uses.extend(paths);
            }
            (None, start) => {
                self.all(start);
                self.all(expr.dynamic_steps());
            }
        }
    }

    fn input(&mut self, reference: &Reference<'a>) {
        if reference.root == "input" {
            match reference.known().next() {
                Some(field) => drop(self.facts.input.fields.insert(field)),
                None => self.facts.input.other = true,
            }
        }
    }

    fn dynamic(&mut self, reference: &Reference<'a>) {
        for step in &reference.steps {
            if let Step::Dynamic(expr) = step {
                self.expr(expr);
            }
        }
    }

    fn call(&mut self, function: &'a Expr, params: Option<&'a [Expr]>) {
        let (reference, start) = function.reference();
        let parts = names::called(function);
        let local = reference.as_ref().is_some_and(|reference| self.is_local(reference.root));
        let found = self.names.function(self.package, &parts);
        let doubt = names::doubt(self.names, self.package, function, found.as_ref(), local);
        let name = parts.join(".");
        match (&reference, start) {
            (Some(reference), _) => self.dynamic(reference),
            (None, start) => self.all(start),
        }
        self.uses.extend(found.clone());
        // By what it is called it may be replaced, in whatever package.
        self.uses.push(builtin(&name));
        let file = self.file.source.file.as_str();
        let span = reference.map(|reference| reference.span).or_else(|| function.span());
        self.facts.calls.push(Call {
            file,
            span: span.unwrap_or_default(),
            name,
            targets: found.into_iter().collect(),
            doubt,
            end: function.span().map(|span| span.end),
            params,
        });
    }

    /// The paths that a reference may mean.
    fn paths(&self, reference: &Reference<'a>) -> Vec<Path> {
        if self.is_local(reference.root) {
            return Vec::new();
        }
        self.names.places(self.package, reference)
    }
}
