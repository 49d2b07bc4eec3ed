//! Which rules are tests, by the conventions of `opa test`, and a copy of the policy in which each
//! of them can be evaluated on its own.
//!
//! Every definition of a `test_` rule is a test, in whatever file. Two definitions of one name
//! would be one rule to the interpreter, which holds when either does; so all but the first get a
//! name of their own. A rule whose name has a variable part (`test_calls[name]`) has cases. One
//! that does not hold is not in the rule's value, so the copy reports each case when it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use regorus::Engine;
use sentinel_policy_analysis::PolicySource;
use serde_json::Value;

use crate::error::WorkbenchError;
use crate::syntax::{expression, extent, line, list, span, text, tree};

const PREFIX: &str = "test_";
const SKIPPED_PREFIX: &str = "todo_test_";

/// One definition of a test.
#[derive(Debug)]
pub(crate) struct TestRule {
    pub package: Vec<String>,
    /// From the package to the part that makes it a test: nearly always one part.
    pub name: Vec<String>,
    /// How many definitions of that name come before it.
    pub number: usize,
    pub file: String,
    pub line: u32,
    pub(crate) kind: Kind,
    /// The last part of its name within the file, in bytes.
    at: Range<usize>,
    /// Where its cases are reported.
    begins: Option<Begins>,
    /// What the last part of its name is in the copy.
    alone: Option<String>,
}

/// Where a test reports that a case begins.
#[derive(Debug)]
struct Begins {
    /// The start of a condition, in bytes.
    at: usize,
    /// The key of the case, as the text of a list.
    key: String,
    /// The end of that condition, when no braces are around it and another needs them.
    unbraced: Option<usize>,
}

/// How a test is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It must be `true`.
    Single,
    /// It is an object, in which each case must be `true`.
    Cases,
    Skipped,
    /// It cannot be run, which is an error: the arguments of a function are not known.
    Function,
    /// Rego v0 lets one head have several bodies, of which one suffices.
    SeveralBodies,
}

/// A policy in which each test has a name of its own.
#[derive(Debug)]
pub(crate) struct Separated {
    pub source: PolicySource,
    /// The function that the copy calls at the start of a case, with the number of its test.
    pub case_begins: String,
}

impl TestRule {
    /// Its name in the package as `opa test` has it: `test_docs`, `test_docs#01`, `a["test_x#01"]`.
    pub(crate) fn shown(&self) -> String {
        let (last, before) = match self.name.split_last() {
            Some((last, before)) => (last.as_str(), before),
            None => ("", &[][..]),
        };
        let last = match self.number {
            // OPA numbers what it runs.
            _ if self.kind == Kind::Skipped => last.to_owned(),
            0 => last.to_owned(),
            number => format!("{last}#{number:02}"),
        };
        let mut parts = before.iter().cloned().chain([last]);
        let first = parts.next().unwrap_or_default();
        parts.fold(first, |path, part| step(&path, &part))
    }

    /// The names by which it can be selected: with and without its number, since a caller that
    /// names a test means every definition of it.
    pub(crate) fn names(&self) -> [String; 2] {
        let package = dotted(&self.package);
        let unnumbered = self.name.iter().fold(package.clone(), |path, part| step(&path, part));
        [unnumbered, format!("{package}.{}", self.shown())]
    }

    /// Where the interpreter finds it in the copy.
    pub(crate) fn path(&self) -> String {
        let (last, before) = match self.name.split_last() {
            Some((last, before)) => (last, before),
            None => return dotted(&self.package),
        };
        let last = self.alone.as_ref().unwrap_or(last);
        let parts = self.package.iter().chain(before).chain([last]);
        parts.fold("data".to_owned(), |path, part| step(&path, part))
    }
}

/// `data.a["b-c"]`.
pub(crate) fn dotted(path: &[String]) -> String {
    path.iter().fold("data".to_owned(), |path, part| step(&path, part))
}

fn step(path: &str, part: &str) -> String {
    let is_name = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { format!("{path}.{part}") } else { format!("{path}[{}]", Value::from(part)) }
}

/// The tests in the files of an engine, in the order of packages, names and definitions.
pub(crate) fn find(engine: &Engine) -> Result<Vec<TestRule>, WorkbenchError> {
    let tree = tree(engine)?;
    let mut modules: Vec<_> = list(&tree).iter().filter_map(Module::of).collect();
    // The order of definitions is that of files and lines, whatever the engine's is.
    modules.sort_by(|a, b| a.file.cmp(b.file));
    let globals: BTreeSet<_> = modules.iter().flat_map(Module::globals).collect();
    let mut found: Vec<TestRule> =
        modules.iter().flat_map(|module| module.tests(&globals)).collect();
    let mut counts = BTreeMap::new();
    for test in &mut found {
        let count = counts.entry((test.package.clone(), test.name.clone())).or_insert(0);
        test.number = *count;
        *count += 1;
    }
    found.sort_by(|a, b| (&a.package, &a.name, a.number).cmp(&(&b.package, &b.name, b.number)));
    Ok(found)
}

/// The copy in which each of `tests` can be evaluated on its own; `None` when they can be as they
/// are.
pub(crate) fn separate(
    engine: &Engine,
    source: &PolicySource,
    tests: &mut [TestRule],
) -> Result<Option<Separated>, WorkbenchError> {
    let tree = tree(engine)?;
    let contents: BTreeMap<&str, &str> = list(&tree)
        .iter()
        .filter_map(Module::of)
        .map(|module| (module.file, module.contents))
        .collect();
    let case_begins = unused("sentinel_case_begins", &contents);
    let mut edits: BTreeMap<String, Vec<(Range<usize>, String)>> = BTreeMap::new();
    for (id, test) in tests.iter_mut().enumerate() {
        let edits = edits.entry(test.file.clone()).or_default();
        if let Some(name) =
            test.name.last().filter(|_| test.number > 0 && test.kind != Kind::Skipped)
        {
            let alone = unused(&format!("{name}_sentinel_{}", test.number), &contents);
            edits.push((test.at.clone(), alone.clone()));
            test.alone = Some(alone);
        }
        if let Some(Begins { at, key, unbraced }) = &test.begins {
            let open = if unbraced.is_some() { "{ " } else { "" };
            edits.push((*at..*at, format!("{open}{case_begins}({id}, {key}); ")));
            edits.extend(unbraced.map(|end| (end..end, " }".to_owned())));
        }
    }
    if edits.values().all(Vec::is_empty) {
        return Ok(None);
    }
    let mut source = source.clone();
    for (file, mut edits) in edits {
        let Some(text) = contents.get(file.as_str()) else { continue };
        let mut text = (*text).to_owned();
        // From the back, so that what comes before keeps its place.
        edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (range, edit) in edits {
            if !text.is_char_boundary(range.start) || !text.is_char_boundary(range.end) {
                return Err(WorkbenchError::Inseparable { file });
            }
            text.replace_range(range, &edit);
        }
        source.set_text(file, text);
    }
    Ok(Some(Separated { source, case_begins }))
}

/// The name, or a longer one, that no file mentions.
fn unused(name: &str, contents: &BTreeMap<&str, &str>) -> String {
    let mut name = name.to_owned();
    while contents.values().any(|text| text.contains(&name)) {
        name.push('_');
    }
    name
}

/// A file, as the interpreter's syntax tree has it.
struct Module<'a> {
    file: &'a str,
    contents: &'a str,
    package: Vec<String>,
    ast: &'a Value,
}

impl<'a> Module<'a> {
    fn of(tree: &'a Value) -> Option<Self> {
        let ast = tree.get("ast")?;
        let package = parts(ast.pointer("/package/refr")?)?;
        Some(Self {
            file: tree.pointer("/source/file")?.as_str()?,
            contents: tree.pointer("/source/contents")?.as_str()?,
            package: package.iter().map_while(|part| part.name.map(str::to_owned)).collect(),
            ast,
        })
    }

    fn rules(&self) -> &'a [Value] {
        self.ast.get("rules").map(list).unwrap_or_default()
    }

    /// Names that are not variables in its package: rules, and what its imports bring in.
    fn globals(&self) -> Vec<(Vec<String>, String)> {
        let rules = self.rules().iter().filter_map(|rule| parts(reference_of(rule)?));
        let rules = rules.filter_map(|parts| parts.first()?.name.map(str::to_owned));
        let imports = self.ast.get("imports").map(list).unwrap_or_default().iter();
        let imports = imports.filter_map(|import| match import.get("as").and_then(bytes) {
            Some(range) => self.contents.get(range).map(str::to_owned),
            None => parts(import.get("refr")?)?.last()?.name.map(str::to_owned),
        });
        let names = rules.chain(imports).chain(["input".to_owned(), "data".to_owned()]);
        names.map(|name| (self.package.clone(), name)).collect()
    }

    fn tests(&self, globals: &BTreeSet<(Vec<String>, String)>) -> Vec<TestRule> {
        self.rules().iter().filter_map(|rule| self.test(rule, globals)).collect()
    }

    fn test(&self, rule: &Value, globals: &BTreeSet<(Vec<String>, String)>) -> Option<TestRule> {
        let parts = parts(reference_of(rule)?)?;
        let fixed = parts.iter().take_while(|part| part.is_constant);
        let is_test = |part: &Part<'_>| {
            part.name
                .is_some_and(|name| name.starts_with(PREFIX) || name.starts_with(SKIPPED_PREFIX))
        };
        let index = fixed.map(is_test).position(|is_test| is_test)?;
        let (own, key) = parts.split_at_checked(index + 1)?;
        let last = own.last()?;
        let spec = rule.get("Spec").or_else(|| rule.get("Default"))?;
        let kind = kind(self.contents, spec, last.name?, own, key);
        let begins = (kind == Kind::Cases).then(|| self.begins(spec, key, globals)).flatten();
        Some(TestRule {
            package: self.package.clone(),
            name: own.iter().map(|part| part.name.unwrap_or_default().to_owned()).collect(),
            number: 0,
            file: self.file.to_owned(),
            line: line(spec),
            kind,
            at: last.at.clone(),
            begins,
            alone: None,
        })
    }

    /// Where a case begins: behind the first conditions that mention each variable of its key. What
    /// holds after the last condition is in the value, and needs no report.
    fn begins(
        &self,
        spec: &Value,
        key: &[Part<'_>],
        globals: &BTreeSet<(Vec<String>, String)>,
    ) -> Option<Begins> {
        let body = list(spec.get("bodies")?).first()?;
        let conditions = list(body.pointer("/query/stmts")?);
        let mut names = BTreeSet::new();
        key.iter().for_each(|part| variables(part.node, &mut names));
        let mut declared = BTreeSet::new();
        conditions.iter().for_each(|tree| declarations(self.contents, tree, &mut declared));
        names.retain(|name| {
            declared.contains(name)
                || !globals.contains(&(self.package.clone(), (*name).to_owned()))
        });
        let first = |name: &&str| conditions.iter().position(|tree| mentions(tree, name));
        let behind = names.iter().filter_map(first).max().map_or(0, |index| index + 1);
        let next = conditions.get(behind)?;
        let parts: Option<Vec<_>> = key.iter().map(|part| part.text(self.contents)).collect();
        let Range { start: at, end } = extent(self.contents, next)?;
        let head = spec.get("head").and_then(expression).and_then(span)?.end;
        let unbraced = if behind == 0 && !opens_brace(self.contents.get(head..at)?) {
            Some(end)
        } else {
            None
        };
        Some(Begins { at, key: format!("[{}]", parts?.join(", ")), unbraced })
    }
}

fn kind(contents: &str, spec: &Value, name: &str, own: &[Part<'_>], key: &[Part<'_>]) -> Kind {
    let head = spec.get("head");
    let of = |kind: &str| head.and_then(|head| head.get(kind));
    let bodies = spec.get("bodies").map(list).unwrap_or_default();
    let is_other = |body: &Value| body.get("is_else") == Some(&Value::Bool(false));
    if name.starts_with(SKIPPED_PREFIX) {
        Kind::Skipped
    } else if of("Func").is_some() {
        Kind::Function
    } else if bodies.iter().skip(1).any(is_other) {
        Kind::SeveralBodies
    } else if of("Set").is_some() {
        Kind::Single
    } else if key.iter().any(|part| !part.is_constant) || is_entry(contents, spec, own, key) {
        Kind::Cases
    } else {
        Kind::Single
    }
}

/// `test_calls["a"] := true`, without `if`: to OPA an entry of an object, and so one case.
fn is_entry(contents: &str, spec: &Value, own: &[Part<'_>], key: &[Part<'_>]) -> bool {
    let head = spec.pointer("/head/Compr");
    let has_value = head.and_then(|head| head.get("assign")).is_some_and(|value| !value.is_null());
    let conditions = spec.pointer("/bodies/0/query/stmts").and_then(|tree| list(tree).first());
    let says_if = || {
        let start = head.and_then(span)?.end;
        let end = conditions.and_then(span)?.start;
        let between = contents.get(start..end)?;
        Some(between.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word == "if"))
    };
    own.len() == 1 && key.len() == 1 && has_value && says_if() != Some(true)
}

/// One part of the reference in a rule's head.
struct Part<'a> {
    /// `None` where it is not a string.
    name: Option<&'a str>,
    is_constant: bool,
    at: Range<usize>,
    node: &'a Value,
}

impl Part<'_> {
    fn text(&self, contents: &str) -> Option<String> {
        match self.name {
            Some(name) => Some(Value::from(name).to_string()),
            None => text(contents, expression(self.node)?),
        }
    }
}

fn reference_of(rule: &Value) -> Option<&Value> {
    if let Some(default) = rule.get("Default") {
        return default.get("refr");
    }
    let head = rule.pointer("/Spec/head")?;
    expression(head)?.get("refr")
}

fn parts(reference: &Value) -> Option<Vec<Part<'_>>> {
    let (kind, node) = reference.as_object()?.iter().next()?;
    let mut found = match kind.as_str() {
        "Var" => Vec::new(),
        "RefDot" | "RefBrack" => parts(node.get("refr")?)?,
        _ => return None,
    };
    found.push(match kind.as_str() {
        "RefDot" => {
            let field = list(node.get("field")?);
            let at = bytes(field.first()?)?;
            Part { name: field.get(1)?.as_str(), is_constant: true, at, node }
        }
        "RefBrack" => {
            let index = node.get("index")?;
            let (kind, inner) = index.as_object()?.iter().next()?;
            let is_string = matches!(kind.as_str(), "String" | "RawString");
            let is_constant = is_string || matches!(kind.as_str(), "Number" | "Bool" | "Null");
            let name = if is_string { inner.get("value")?.as_str() } else { None };
            Part { name, is_constant, at: span(inner).unwrap_or_default(), node: index }
        }
        _ => Part { name: node.get("value")?.as_str(), is_constant: true, at: span(node)?, node },
    });
    Some(found)
}

/// The variables in an expression; the name of a function that is called is not one.
fn variables<'a>(tree: &'a Value, found: &mut BTreeSet<&'a str>) {
    match tree {
        Value::Array(items) => items.iter().for_each(|item| variables(item, found)),
        Value::Object(fields) => {
            for (kind, inner) in fields {
                match kind.as_str() {
                    "Var" => found.extend(inner.get("value").and_then(Value::as_str)),
                    "Call" => variables(inner.get("params").unwrap_or(inner), found),
                    _ => variables(inner, found),
                }
            }
        }
        _ => {}
    }
}

/// Whether what is between a head and its first condition ends with a brace.
fn opens_brace(between: &str) -> bool {
    let code = between.lines().map(|line| line.split('#').next().unwrap_or_default());
    code.collect::<String>().trim_end().ends_with('{')
}

/// The variables that a condition declares, whatever else has such a name.
fn declarations<'a>(contents: &'a str, tree: &'a Value, found: &mut BTreeSet<&'a str>) {
    match tree {
        Value::Array(items) => items.iter().for_each(|item| declarations(contents, item, found)),
        Value::Object(fields) => {
            for (kind, inner) in fields {
                let declared = match kind.as_str() {
                    "SomeVars" => {
                        let places = inner.get("vars").map(list).unwrap_or_default();
                        let names = places.iter().filter_map(|place| contents.get(bytes(place)?));
                        found.extend(names);
                        continue;
                    }
                    "SomeIn" => ["key", "value"].as_slice(),
                    "AssignExpr" if inner.get("op") == Some(&Value::from("ColEq")) => {
                        ["lhs"].as_slice()
                    }
                    _ => [].as_slice(),
                };
                for part in declared.iter().filter_map(|name| inner.get(name)) {
                    variables(part, found);
                }
                declarations(contents, inner, found);
            }
        }
        _ => {}
    }
}

fn mentions(tree: &Value, name: &str) -> bool {
    let mut found = BTreeSet::new();
    variables(tree, &mut found);
    found.contains(name)
}

/// A place that the syntax tree gives without `span` around it.
fn bytes(node: &Value) -> Option<Range<usize>> {
    let at = |name: &str| usize::try_from(node.get(name)?.as_u64()?).ok();
    Some(at("start")?..at("end")?)
}
