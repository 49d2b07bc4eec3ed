//! Whether an expression certainly has a value where it is evaluated.
//!
//! OPA takes an undefined argument for a condition that does not hold, wherever the call is; the
//! interpreter takes it for a call without a result, which `not` and `in` turn into an answer. So
//! what differs is refused unless the text shows that the argument is there: it is a literal, a
//! bound variable, a rule with a default, data of the policy, or a reference that a positive
//! condition of the same body needs, too. Where the text does not show it, it may be undefined.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use crate::lint::scope::call;
use crate::lint::shapes::{self, Negation};
use crate::syntax::depend::{Path, path_of};
use crate::syntax::{
    AssignOp, Expr, File, Head, Literal, Query, Rule, Span, Statement, Step, With,
};

/// Functions of the interpreter that are undefined for some arguments without failing.
const PARTIAL: [&str; 14] = [
    "array.slice",
    "glob.match",
    "graph.",
    "json.match_schema",
    "json.patch",
    "max",
    "min",
    "net.",
    "regex.",
    "semver.compare",
    "time.",
    "to_number",
    "units.",
    "uuid.parse",
];
/// Of those, the ones that have a value, or fail.
const TOTAL: [&str; 2] = ["regex.is_valid", "time.now_ns"];

/// Fields that every input has.
const ALWAYS: [&str; 4] = ["action", "tenant", "time", "tool"];

/// What all files say: which rules always have a value.
pub(crate) struct World<'a> {
    /// Paths of all rules, and whether each always has a value.
    rules: BTreeMap<Path, bool>,
    /// What `with` replaces anywhere: a rule that is evaluated under it sees nothing else of that.
    replaced: &'a [Path],
    /// Data that the policy brings.
    data: &'a Value,
}

impl<'a> World<'a> {
    pub(crate) fn of(files: &[File], replaced: &'a [Path], data: &'a Value) -> Self {
        let mut rules: BTreeMap<Path, bool> = BTreeMap::new();
        for file in files {
            let package = path_of(&file.ast.package.refr);
            for rule in &file.ast.rules {
                let (name, defined) = always(rule);
                let path = package.iter().cloned().chain(name).collect();
                *rules.entry(path).or_default() |= defined;
            }
        }
        Self { rules, replaced, data }
    }

    fn rule(&self, path: &Path) -> Option<bool> {
        self.rules.get(path).copied()
    }

    /// Whether what is at a path may be gone, since `with` replaces what it is in.
    fn may_be_gone(&self, root: &str, path: &[String]) -> bool {
        self.replaced.iter().any(|replaced| {
            let Some((first, rest)) = replaced.split_first() else { return false };
            first == root && rest.len() < path.len() && path.starts_with(rest)
        })
    }

    /// Whether the policy's own data has something at a path.
    fn has_data(&self, path: &Path) -> bool {
        let found = path
            .iter()
            .try_fold(self.data, |at, name| at.as_object().ok()?.get(&Value::from(name.as_str())));
        found.is_some() && !path.is_empty()
    }
}

/// The rule's name within its package, and whether this definition gives it a value always.
fn always(rule: &Rule) -> (Vec<String>, bool) {
    match rule {
        Rule::Default { refr, .. } => (name(refr).0, true),
        Rule::Spec { head, bodies, .. } => {
            let (refr, args, value) = match head {
                // A set without members is a set.
                Head::Set { refr, .. } => return (name(refr).0, true),
                Head::Compr { refr, assign } => (refr, &[] as &[Expr], assign),
                Head::Func { refr, args, assign } => (refr, args.as_slice(), assign),
            };
            let (path, partial) = name(refr);
            let unconditional = bodies.iter().all(|body| body.query.stmts.is_empty());
            let any = args.iter().all(|arg| matches!(arg, Expr::Var { .. }));
            let literal = value.as_ref().is_none_or(|assign| assign.value.is_literal());
            // An object without fields is an object.
            (path, partial || (unconditional && any && literal))
        }
    }
}

/// What of a head's name is known, and whether that is not all of it.
fn name(refr: &Expr) -> (Vec<String>, bool) {
    let (Some(reference), _) = refr.reference() else { return (Vec::new(), true) };
    let known: Vec<_> =
        std::iter::once(reference.root.to_owned()).chain(reference.known()).collect();
    let partial = known.len() < reference.steps.len() + 1;
    (known, partial)
}

/// What one file calls what.
pub(crate) struct Names<'a> {
    pub package: Path,
    /// Names of imports, and the path from `data` where it is one.
    imports: BTreeMap<String, Option<Path>>,
    negation: Negation,
    file: &'a File,
}

impl<'a> Names<'a> {
    pub(crate) fn of(file: &'a File) -> Self {
        let imports = file.ast.imports.iter().filter_map(|import| {
            let (reference, _) = import.refr.reference();
            let reference = reference?;
            let path: Path = reference.known().collect();
            let name = match import.alias {
                Some(span) => file.text(span).to_owned(),
                None => path.last().cloned().unwrap_or_else(|| reference.root.to_owned()),
            };
            Some((name, (reference.root == "data").then_some(path)))
        });
        let (package, negation) = (path_of(&file.ast.package.refr), shapes::negation(file));
        Self { package, imports: imports.collect(), negation, file }
    }

    pub(crate) fn text(&self, span: Span) -> &'a str {
        self.file.text(span)
    }
}

/// What is known where an expression is evaluated.
#[derive(Clone)]
pub(crate) struct Certain<'a> {
    world: &'a World<'a>,
    names: &'a Names<'a>,
    /// References that have a value, since a condition of the same body needs it.
    needed: BTreeSet<String>,
    /// `x := input.a`: the reference that a variable is another name of.
    aliases: BTreeMap<&'a str, String>,
    /// Variables that have their values from elsewhere than a negation.
    bound: BTreeSet<&'a str>,
    /// Whether `with` has replaced rules or data.
    replaced: bool,
    /// Whether `with` has replaced `input` as a whole.
    other_input: bool,
}

impl<'a> Certain<'a> {
    pub(crate) fn new(world: &'a World<'a>, names: &'a Names<'a>) -> Self {
        let (needed, aliases, bound) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Self { world, names, needed, aliases, bound, replaced: false, other_input: false }
    }

    pub(crate) fn negation(&self) -> Negation {
        self.names.negation
    }

    /// Binds the variables of patterns.
    pub(crate) fn bind(&mut self, patterns: impl IntoIterator<Item = &'a Expr>) {
        patterns.into_iter().for_each(|pattern| pattern.variables(&mut self.bound));
        self.bound.remove("_");
    }

    /// Binds the variables at places.
    pub(crate) fn bind_names(&mut self, spans: impl IntoIterator<Item = &'a Span>) {
        self.bound.extend(spans.into_iter().map(|span| self.names.text(*span)));
    }

    /// Whether a side of an equation is a variable, or has one in a place that can be set.
    pub(crate) fn has_variable(&self, side: &Expr) -> bool {
        match side {
            Expr::Var { value, .. } => self.path(value).is_none() && value != "input",
            Expr::Array { .. } | Expr::Object { .. } => {
                side.children().into_iter().any(|child| self.has_variable(child))
            }
            _ => false,
        }
    }

    /// Where a negation has a variable that has its value from nowhere else.
    pub(crate) fn unbound(&self, expr: &'a Expr) -> Option<Span> {
        let mut found = BTreeSet::new();
        expr.variables(&mut found);
        let free = found.into_iter().find(|name| {
            let known = matches!(*name, "input" | "data") || self.bound.contains(name);
            !known && self.path(name).is_none() && !self.names.imports.contains_key(*name)
        });
        free.map(|_| expr.span().unwrap_or_default())
    }

    /// Inside `query`, whose positive conditions all hold.
    pub(crate) fn within(&self, query: &'a Query) -> Self {
        let mut inner = self.clone();
        let declared = declared(query, self.names);
        let hidden = |key: &String| {
            declared.iter().any(|name| {
                let step = format!("[{name}]");
                key.contains(&step) || key == name || key.starts_with(&format!("{name}["))
            })
        };
        inner.needed.retain(|key| !hidden(key));
        inner.aliases.retain(|name, key| !declared.contains(name) && !hidden(key));
        for statement in &query.stmts {
            inner.learn_alias(statement);
            match &statement.literal {
                Literal::Expr { expr } => inner.bind([expr]),
                Literal::SomeIn { key, value, collection } => {
                    inner.bind(key.iter().chain([value, collection]));
                }
                _ => {}
            }
        }
        for statement in query.stmts.iter().filter(|statement| statement.with_mods.is_empty()) {
            match &statement.literal {
                Literal::Expr { expr } => inner.need(expr),
                Literal::SomeIn { collection, .. } => inner.need(collection),
                _ => {}
            }
        }
        inner
    }

    /// Under the modifiers of a statement.
    pub(crate) fn under(&self, mods: &'a [With]) -> Self {
        if mods.is_empty() {
            return self.clone();
        }
        let mut inner = self.clone();
        for with in mods {
            let (Some(target), _) = with.refr.reference() else { continue };
            inner.needed.retain(|key| {
                let root = format!("{}[", target.root);
                !key.starts_with(&root)
            });
            // A variable that was assigned what is replaced keeps its value from before.
            inner.replaced |= target.root != "input";
            inner.other_input |= target.root == "input" && target.steps.is_empty();
        }
        for with in mods {
            if self.is_certain(&with.replacement)
                && let Some(key) = self.key(&with.refr)
            {
                inner.learn(&key);
            }
        }
        inner
    }

    fn learn_alias(&mut self, statement: &'a Statement) {
        if let Literal::Expr { expr: Expr::Assign { op: AssignOp::ColEq, lhs, rhs } } =
            &statement.literal
            && let Expr::Var { value, .. } = lhs.as_ref()
            && statement.with_mods.is_empty()
            && let Some(key) = self.key(rhs)
        {
            self.aliases.insert(value, key);
        }
    }

    fn learn(&mut self, key: &str) {
        // What is within something shows that it is there, too.
        for (at, _) in key.match_indices('[').skip(1) {
            self.needed.extend(key.get(..at).map(str::to_owned));
        }
        self.needed.insert(key.to_owned());
    }

    /// All that must have a value for a condition to hold.
    fn need(&mut self, expr: &'a Expr) {
        // `print` prints what is undefined.
        if call(expr).is_some_and(|(name, _)| name == "print") {
            return;
        }
        if let Some(key) = self.key(expr) {
            self.learn(&key);
        }
        match expr {
            Expr::RefDot { refr, .. } => self.need(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.need(refr);
                self.need(index);
            }
            // A comprehension has a value whatever happens inside, and so has `x in y` as a value.
            other => {
                let children = other.children().into_iter();
                let needed = children.filter(|child| !matches!(child, Expr::Membership { .. }));
                needed.for_each(|child| self.need(child));
            }
        }
    }

    /// A reference as text; `None` when a step of it is neither known nor a variable.
    fn key(&self, expr: &Expr) -> Option<String> {
        let (reference, _) = expr.reference();
        let reference = reference?;
        let mut key = match self.aliases.get(reference.root) {
            Some(stands_for) => stands_for.clone(),
            None => reference.root.to_owned(),
        };
        for step in &reference.steps {
            match step {
                Step::Name(name) => key += &format!("[{name:?}]"),
                Step::Dynamic(Expr::Var { value, .. }) if !value.starts_with('_') => {
                    key += &format!("[{value}]");
                }
                Step::Dynamic(Expr::Number { value }) => key += &format!("[{value}]"),
                Step::Dynamic(_) => return None,
            }
        }
        Some(key)
    }

    /// Whether the expression has a value for certain, or evaluating it fails.
    pub(crate) fn is_certain(&self, expr: &Expr) -> bool {
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null {}
            | Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. }
            | Expr::ObjectCompr { .. } => true,
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.is_reference_certain(expr)
            }
            Expr::Call { params, .. } => {
                params.iter().all(|param| self.is_certain(param)) && self.is_total(expr)
            }
            Expr::Assign { .. } => false,
            other => other.children().into_iter().all(|child| self.is_certain(child)),
        }
    }

    fn is_reference_certain(&self, expr: &Expr) -> bool {
        let (Some(reference), _) = expr.reference() else { return false };
        if self.key(expr).is_some_and(|key| {
            let always = ALWAYS.iter().any(|field| key == format!("input[{field:?}]"));
            self.needed.contains(&key)
                || (always
                    && !self.other_input
                    && !self.world.may_be_gone("input", &[String::new()]))
        }) {
            return true;
        }
        let known: Path = reference.known().collect();
        let whole = known.len() == reference.steps.len();
        match self.path(reference.root) {
            Some(base) => {
                let path: Path = base.into_iter().chain(known).collect();
                let rule = self.world.rule(&path).unwrap_or_default();
                whole
                    && !self.replaced
                    && !self.world.may_be_gone("data", &path)
                    && (rule || self.world.has_data(&path))
            }
            // `input` itself, and a variable: it is bound before it is used.
            None => {
                let input = self.names.imports.contains_key(reference.root);
                reference.steps.is_empty() && !input
            }
        }
    }

    /// Where below `data` a name is; `None` for `input` and for variables.
    fn path(&self, root: &str) -> Option<Path> {
        if root == "data" {
            return Some(Path::new());
        }
        if let Some(path) = self.names.imports.get(root) {
            return path.clone();
        }
        let path: Path = self.names.package.iter().cloned().chain([root.to_owned()]).collect();
        let next = self.world.rules.range::<Path, _>(&path..).next();
        next.is_some_and(|(rule, _)| rule.starts_with(&path)).then_some(path)
    }

    /// Whether a call has a value for all arguments, or fails.
    fn is_total(&self, expr: &Expr) -> bool {
        let Expr::Call { fcn, .. } = expr else { return false };
        let (Some(function), _) = fcn.reference() else { return false };
        let rest: Path = function.known().collect();
        if let Some(base) = self.path(function.root) {
            let path: Path = base.into_iter().chain(rest).collect();
            if let Some(defined) = self.world.rule(&path) {
                return defined && !self.replaced;
            }
        }
        let name = function.dotted();
        let partial = PARTIAL.iter().any(|partial| match partial.strip_suffix('.') {
            Some(_) => name.starts_with(partial),
            None => name == *partial,
        });
        !self.replaced && (!partial || TOTAL.contains(&name.as_str()))
    }
}

/// The variables that a query declares for itself.
fn declared<'a>(query: &'a Query, names: &Names<'a>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { vars } => found.extend(vars.iter().map(|span| names.text(*span))),
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|pattern| pattern.variables(&mut found));
            }
            Literal::Expr { expr: Expr::Assign { op: AssignOp::ColEq, lhs, .. } } => {
                lhs.variables(&mut found);
            }
            _ => {}
        }
    }
    found
}
