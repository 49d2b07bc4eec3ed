//! What each rule refers to: the edges of the graph in which [`crate::graph`] looks for cycles.
//!
//! Where the text does not tell, more is assumed than is true: a variable that is not known to be
//! local may be a rule, and a reference with a dynamic part refers to all rules below its known
//! part. A policy is then refused that would have been harmless; the reverse must not happen.

use std::collections::BTreeSet;

use crate::ast::{
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
    pub file: &'a str,
    pub span: Span,
    /// What it refers to; also prefixes of rules' paths, which stand for all of them.
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
    /// Where a rule would lie that is meant.
    pub targets: Vec<Path>,
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
    pub input: InputUse,
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
    let mut facts = Facts::default();
    for file in files {
        let package = path_of(&file.ast.package.refr);
        let imports = file.ast.imports.iter().filter_map(|import| alias(import, file)).collect();
        facts.input.other |= file.ast.imports.iter().any(is_of_input);
        for rule in &file.ast.rules {
            let mut walk = Walk {
                file,
                package: &package,
                imports: &imports,
                facts: &mut facts,
                locals: Vec::new(),
                uses: Vec::new(),
                depth: 0,
                deepest: 0,
            };
            walk.rule(rule);
        }
    }
    facts
}

pub(crate) fn path_of(package: &Expr) -> Path {
    let (Some(reference), _) = package.reference() else { return Vec::new() };
    std::iter::once(reference.root.to_owned()).chain(reference.known()).collect()
}

/// The name that an import brings in, and the path from `data` that it stands for.
fn alias(import: &Import, file: &File) -> Option<(String, Path)> {
    let (reference, _) = import.refr.reference();
    let reference = reference?;
    if reference.root != "data" {
        return None;
    }
    let path: Path = reference.known().collect();
    let name = match import.alias {
        Some(span) => text(file, span).to_owned(),
        None => path.last()?.clone(),
    };
    Some((name, path))
}

fn is_of_input(import: &Import) -> bool {
    import.refr.reference().0.is_none_or(|reference| reference.root == "input")
}

fn text(file: &File, span: Span) -> &str {
    file.source.contents.get(span.start..span.end).unwrap_or_default()
}

struct Walk<'a, 'f> {
    file: &'a File,
    package: &'f Path,
    imports: &'f Vec<(String, Path)>,
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
                self.scope(|walk| {
                    walk.pattern(args);
                    walk.expr(value);
                });
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
        let (reference, _) = refr.reference();
        let head = reference.iter().flat_map(|reference| {
            std::iter::once(reference.root.to_owned()).chain(reference.known())
        });
        let path = self.package.iter().cloned().chain(head).collect();
        self.facts.definitions.push(Definition {
            path,
            file: &self.file.source.file,
            span,
            uses: std::mem::take(&mut self.uses),
            depth: self.deepest + 1,
        });
    }

    /// The head is evaluated within each body, so it is read once in the scope of each.
    fn bodies(&mut self, head: &'a Head, bodies: &'a [Body]) {
        if bodies.is_empty() {
            self.head(head);
        }
        for body in bodies {
            self.scope(|walk| {
                walk.query(&body.query);
                walk.head(head);
                if let Some(assign) = &body.assign {
                    walk.expr(&assign.value);
                }
            });
        }
    }

    fn head(&mut self, head: &'a Head) {
        let (refr, value) = match head {
            Head::Compr { refr, assign } | Head::Func { refr, assign, .. } => {
                (refr, assign.as_ref().map(|assign| &assign.value))
            }
            Head::Set { refr, key } => (refr, key.as_ref()),
        };
        if let (Some(reference), _) = refr.reference() {
            self.dynamic(&reference);
        }
        if let Some(value) = value {
            self.expr(value);
        }
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
        // `input` and `data` stay what they are, and `_` is nobody.
        if !matches!(name, "input" | "data" | "_")
            && let Some(scope) = self.locals.last_mut()
        {
            scope.push(name);
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().flatten().any(|local| *local == name)
    }

    /// Declares the variables of patterns: arguments, and what stands left of `:=`.
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

    fn query(&mut self, query: &'a Query) {
        for Statement { literal, with_mods } in &query.stmts {
            for with in with_mods {
                self.with(with);
            }
            match literal {
                Literal::SomeVars { vars } => {
                    for span in vars {
                        self.declare(text(self.file, *span));
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
                            walk.declare(text(walk.file, *span));
                        }
                        walk.query(query);
                    });
                }
            }
        }
    }

    fn with(&mut self, with: &'a With) {
        self.facts.input.other = true;
        let before = self.uses.len();
        self.expr(&with.replacement);
        let replacements: Vec<Path> = self.uses.get(before..).unwrap_or_default().to_vec();
        let (Some(target), _) = with.refr.reference() else { return };
        if target.root == "input" {
            return self.dynamic(&target);
        }
        let mut targets = self.paths(&target);
        targets.push(builtin(&target.dotted()));
        if let (Some(function), _) = with.replacement.reference() {
            self.call(&function, None);
        }
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
                self.scope(|walk| {
                    walk.query(query);
                    walk.expr(term);
                });
            }
            Expr::ObjectCompr { key, value, query } => self.scope(|walk| {
                walk.query(query);
                walk.all([key.as_ref(), value.as_ref()]);
            }),
            Expr::Call { fcn, params, .. } => {
                if let (Some(function), _) = fcn.reference() {
                    self.call(&function, Some(params));
                }
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

    fn call(&mut self, function: &Reference<'a>, params: Option<&'a [Expr]>) {
        let name = function.dotted();
        let targets = self.paths(function);
        self.uses.extend(targets.iter().cloned());
        self.uses.push(builtin(&name));
        let (file, span) = (self.file.source.file.as_str(), function.span);
        self.facts.calls.push(Call { file, span, name, targets, params });
    }

    /// The paths that a reference may mean.
    fn paths(&self, reference: &Reference<'a>) -> Vec<Path> {
        let root = reference.root;
        if root == "input" || self.is_local(root) {
            return Vec::new();
        }
        if root == "data" {
            return vec![reference.known().collect()];
        }
        let own = self.package.iter().cloned().chain([root.to_owned()]);
        let imported = self.imports.iter().filter(|(name, _)| name == root);
        std::iter::once(own.chain(reference.known()).collect())
            .chain(
                imported.map(|(_, path)| path.iter().cloned().chain(reference.known()).collect()),
            )
            .collect()
    }
}
