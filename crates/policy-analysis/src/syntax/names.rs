//! How the interpreter finds what a name means, followed step by step, since what vetting shows
//! of a policy holds for the rule that is evaluated, not for the one that its author meant.
//!
//! The name of a call, in this order (regorus 0.14.1, `eval_call_impl`): a function behind an
//! import of the package, by whatever file of the package imports it; a function at its path from
//! `data`; a function of the package; the default of one; an extension; a builtin. A variable is
//! never called, though it may have the name, and neither is a rule without arguments.
//!
//! OPA decides by other rules where a name is more than one of these: the name of a variable, rule
//! or import hides the builtin. So such a call is refused, as is a function with the name of a
//! builtin, and an import with the name of a rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, Lint};
use crate::interpreter::is_builtin;
use crate::syntax::depend::{Call, Facts, Path, path_of};
use crate::syntax::{Expr, File, Head, Import, Reference, Rule, Span};

/// What a file brings in under a name of its own.
#[derive(Debug)]
struct Imported {
    alias: String,
    /// From `data`; `None` when it is something else, such as a part of `input`.
    path: Option<Path>,
}

/// What the files define, by where the interpreter looks for it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    functions: BTreeSet<Path>,
    /// Names in each package that rules have, up to the first dot.
    roots: BTreeMap<Path, BTreeSet<String>>,
    imports: BTreeMap<Path, Vec<Imported>>,
}

impl Names {
    pub(crate) fn of(files: &[File]) -> Self {
        let mut names = Self::default();
        for file in files {
            let package = path_of(&file.ast.package.refr);
            for import in &file.ast.imports {
                let imported = imported(import, file);
                names.imports.entry(package.clone()).or_default().extend(imported);
            }
            for rule in &file.ast.rules {
                let (Some(reference), _) = refr(rule).reference() else { continue };
                let roots = names.roots.entry(package.clone()).or_default();
                roots.insert(reference.root.to_owned());
                if is_function(rule) {
                    let path = package.iter().cloned().chain(called(refr(rule)));
                    names.functions.insert(path.collect());
                }
            }
        }
        names
    }

    /// The function that a call in `package` evaluates; `None` when it is a builtin, or nothing.
    pub(crate) fn function(&self, package: &Path, name: &[String]) -> Option<Path> {
        let (first, rest) = name.split_first()?;
        let within = |path: &Path| path.iter().chain(rest).cloned().collect::<Path>();
        let known = |path: &Path| self.functions.contains(path);
        if first == "data" {
            return Some(rest.to_vec()).filter(known);
        }
        let imported = self.imported(package, first).filter_map(|import| import.path.as_ref());
        // Of two imports of one name the later one counts; that is refused.
        imported.map(within).find(known).or_else(|| {
            let own: Path = package.iter().chain(name).cloned().collect();
            Some(own).filter(known)
        })
    }

    /// Where what a reference names may be: rules of the package, and what is imported.
    pub(crate) fn places(&self, package: &Path, reference: &Reference<'_>) -> Vec<Path> {
        let root = reference.root;
        let at = |path: &Path| path.iter().cloned().chain(reference.known()).collect::<Path>();
        match root {
            "input" => Vec::new(),
            "data" => vec![reference.known().collect()],
            _ => {
                let own: Path = package.iter().cloned().chain([root.to_owned()]).collect();
                let imported = self.imported(package, root);
                let paths = imported.filter_map(|import| import.path.as_ref()).map(at);
                std::iter::once(at(&own)).chain(paths).collect()
            }
        }
    }

    /// Whether a name is one of a rule or an import of the package.
    pub(crate) fn is_known(&self, package: &Path, root: &str) -> bool {
        self.roots.get(package).is_some_and(|roots| roots.contains(root))
            || self.imported(package, root).next().is_some()
    }

    fn imported<'n>(
        &'n self,
        package: &Path,
        alias: &'n str,
    ) -> impl Iterator<Item = &'n Imported> + use<'n> {
        let all = self.imports.get(package).into_iter().flatten();
        all.filter(move |import| import.alias == alias)
    }
}

fn imported(import: &Import, file: &File) -> Option<Imported> {
    let (reference, _) = import.refr.reference();
    let reference = reference?;
    let path: Path = reference.known().collect();
    let alias = match import.alias {
        Some(span) => file.source.contents.get(span.start..span.end)?.to_owned(),
        None => path.last()?.clone(),
    };
    let keyword = matches!(reference.root, "rego" | "future");
    (!keyword).then(|| Imported { alias, path: (reference.root == "data").then_some(path) })
}

fn refr(rule: &Rule) -> &Expr {
    match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => head.refr(),
    }
}

fn is_function(rule: &Rule) -> bool {
    match rule {
        Rule::Default { args, .. } => !args.is_empty(),
        Rule::Spec { head, .. } => matches!(head, Head::Func { .. }),
    }
}

/// The parts of a called name that the interpreter heeds; it leaves the others out.
pub(crate) fn called(function: &Expr) -> Vec<String> {
    let (mut at, mut parts) = (function, Vec::new());
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                parts.push(field.1.clone());
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                if let Expr::String { value } = index.as_ref() {
                    parts.push(value.clone());
                }
                at = refr;
            }
            Expr::Var { value, .. } => {
                parts.push(value.clone());
                parts.reverse();
                return parts;
            }
            _ => return Vec::new(),
        }
    }
}

/// The path within its package by which a rule is found: up to the first part that is not a plain
/// text, since what is behind that is evaluated with the rest.
pub(crate) fn key(refr: &Expr) -> Path {
    let (mut at, mut parts) = (refr, Vec::new());
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                parts.push(Some(field.1.clone()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                parts.push(match index.as_ref() {
                    Expr::String { value } => Some(value.clone()),
                    _ => None,
                });
                at = refr;
            }
            Expr::Var { value, .. } => {
                parts.push(Some(value.clone()));
                return parts.into_iter().rev().map_while(|part| part).collect();
            }
            _ => return Vec::new(),
        }
    }
}

/// Whether a called name is more, or less, than the parts that the interpreter heeds.
fn is_plain(function: &Expr) -> bool {
    match function {
        Expr::RefDot { refr, .. } => is_plain(refr),
        Expr::RefBrack { refr, index, .. } => {
            matches!(index.as_ref(), Expr::String { .. }) && is_plain(refr)
        }
        Expr::Var { .. } => true,
        _ => false,
    }
}

/// What is against a call as it is written; `local` is whether a variable has the first name.
pub(crate) fn doubt(
    names: &Names,
    package: &Path,
    function: &Expr,
    found: Option<&Path>,
    local: bool,
) -> Option<String> {
    let name = called(function);
    let root = name.first()?;
    let shown = name.join(".");
    if !is_plain(function) {
        return Some("what is called must be a name, without an index".to_owned());
    }
    if local {
        return Some(format!("`{shown}` is called, and `{root}` is a variable here"));
    }
    (found.is_none() && names.is_known(package, root))
        .then(|| format!("`{shown}` is called, and `{root}` is a rule or an import here"))
}

/// Refuses names whose meaning is not plain.
pub(crate) fn check(facts: &Facts<'_>, files: &[File]) -> Vec<Finding> {
    let called = facts.calls.iter().filter_map(|call: &Call<'_>| {
        let doubt = call.doubt.clone().filter(|_| call.params.is_some())?;
        Some(Finding::new(Lint::AmbiguousName, doubt).at(files, call.file, call.span))
    });
    let mut checked = Checked {
        names: &facts.names,
        files,
        findings: called.collect(),
        seen: BTreeMap::new(),
        builtins: BTreeMap::new(),
    };
    for file in files {
        let package = path_of(&file.ast.package.refr);
        if file.ast.target.is_some() {
            let message = "`__target__` is not a rule for the embedded engine".to_owned();
            checked.add(Lint::AmbiguousName, file, Span::default(), message);
        }
        file.ast.rules.iter().for_each(|rule| checked.rule(file, rule));
        file.ast.imports.iter().for_each(|import| checked.import(file, &package, import));
    }
    checked.findings
}

struct Checked<'f> {
    names: &'f Names,
    files: &'f [File],
    findings: Vec<Finding>,
    /// What each package imports, by name.
    seen: BTreeMap<(Path, String), Option<Path>>,
    /// The interpreter is asked once for each name.
    builtins: BTreeMap<String, bool>,
}

impl<'f> Checked<'f> {
    fn add(&mut self, lint: Lint, file: &File, span: Span, message: String) {
        self.findings.push(Finding::new(lint, message).at(self.files, &file.source.file, span));
    }

    fn rule(&mut self, file: &'f File, rule: &'f Rule) {
        if !is_function(rule) {
            return;
        }
        let span = refr(rule).reference().0.map(|reference| reference.span).unwrap_or_default();
        let name = called(refr(rule)).join(".");
        if *self.builtins.entry(name.clone()).or_insert_with(|| is_builtin(&name)) {
            let message = format!("the function `{name}` has the name of a builtin");
            self.add(Lint::AmbiguousName, file, span, message);
        }
        // The interpreter evaluates it in the package of the caller.
        if let Rule::Default { value, .. } = rule
            && !is_constant(value)
        {
            let message = format!("the default of the function `{name}` must be a constant");
            self.add(Lint::AmbiguousName, file, span, message);
        }
    }

    fn import(&mut self, file: &'f File, package: &Path, import: &'f Import) {
        let Some(reference) = import.refr.reference().0 else { return };
        if reference.root == "rego" && !reference.known().eq(["v1"]) {
            let message = format!("`{}` cannot be imported", reference.dotted());
            self.add(Lint::InvalidFile, file, reference.span, message);
        }
        let Some(Imported { alias, path }) = imported(import, file) else { return };
        let roots = self.names.roots.get(package);
        if roots.is_some_and(|roots| roots.contains(&alias)) {
            let message = format!("`{alias}` is imported, and is the name of a rule here");
            self.add(Lint::AmbiguousName, file, reference.span, message);
        }
        let other = self.seen.insert((package.clone(), alias.clone()), path.clone());
        if other.is_some_and(|other| other != path) {
            let message = format!("`{alias}` is imported as something else in the same package");
            self.add(Lint::AmbiguousName, file, reference.span, message);
        }
    }
}

/// Whether a value is written out, a sign included.
fn is_constant(value: &Expr) -> bool {
    match value {
        Expr::Unary { .. } | Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } => {
            value.children().into_iter().all(is_constant)
        }
        other => other.is_literal(),
    }
}
