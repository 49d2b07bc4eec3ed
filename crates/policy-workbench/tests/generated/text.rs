//! A generated policy: files of rules, small enough parts that one can be left out at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

/// The name that takes the place of `data` in the text of a policy. OPA is given many policies at
/// once, each below a name of its own: `data.g7.limits` for what is `data.limits` to the engine.
pub(crate) const DATA: &str = "§";
/// Package of the rules that decide.
pub(crate) const PACKAGE: &str = "sentinel.policy";

/// What a rule defines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Head {
    Default(String),
    Flag,
    Value(String),
    Member(String),
    Entry(String, String),
    /// `None` is `true`.
    Function(Vec<String>, Option<String>),
    DefaultFunction(Vec<String>, String),
}

/// The first body of a rule, or that of an `else`, which has a value of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    pub(crate) value: Option<String>,
    pub(crate) statements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) head: Head,
    pub(crate) bodies: Vec<Body>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) package: String,
    pub(crate) v0: bool,
    pub(crate) imports: Vec<String>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) number: usize,
    pub(crate) files: Vec<File>,
    pub(crate) data: Value,
    /// Whether `allow`, `deny_reason` and `quota_remaining` decide, and not `decision`.
    pub(crate) seed_shape: bool,
    /// Constructs and builtins that it contains.
    pub(crate) tags: BTreeSet<String>,
    pub(crate) inputs: Vec<Input>,
}

#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) document: Value,
    /// Whether a field that policies look at is missing or of another type.
    pub(crate) flawed: bool,
}

impl Rule {
    pub(crate) fn new(name: impl Into<String>, head: Head, statements: Vec<String>) -> Self {
        Self { name: name.into(), head, bodies: vec![Body { value: None, statements }] }
    }

    /// Writes `_` for variables that `some … in` or `every` declares and nothing uses: OPA refuses
    /// them.
    pub(crate) fn drop_unused(&mut self) {
        let mut text = String::new();
        self.write(false, &mut text);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for word in text.split(|c| !is_part(c)) {
            *counts.entry(word).or_default() += 1;
        }
        let single = |word: &&str| word.starts_with('v') && word[1..].parse::<u32>().is_ok();
        let unused = counts.iter().filter(|(_, count)| **count == 1).map(|(word, _)| *word);
        let unused: Vec<_> = unused.filter(single).map(str::to_owned).collect();
        let without = |text: &str| {
            unused.iter().fold(text.to_owned(), |text, name| {
                text.replace(&format!("some {name} in"), "some _ in")
                    .replace(&format!("every {name} in"), "every _ in")
                    .replace(&format!("some {name}, "), "some _, ")
                    .replace(&format!("every {name}, "), "every _, ")
                    .replace(&format!(", {name} in "), ", _ in ")
            })
        };
        self.head = match std::mem::replace(&mut self.head, Head::Flag) {
            Head::Value(value) => Head::Value(without(&value)),
            Head::Member(key) => Head::Member(without(&key)),
            Head::Entry(key, value) => Head::Entry(key, without(&value)),
            Head::Function(args, value) => Head::Function(args, value.as_deref().map(without)),
            other => other,
        };
        for body in &mut self.bodies {
            body.value = body.value.as_deref().map(without);
            body.statements.iter_mut().for_each(|statement| *statement = without(statement));
        }
    }

    fn head(&self, v0: bool) -> String {
        let name = &self.name;
        let assign = if v0 { "=" } else { ":=" };
        match &self.head {
            Head::Default(value) => format!("default {name} {assign} {value}"),
            Head::DefaultFunction(args, value) => {
                format!("default {name}({}) {assign} {value}", args.join(", "))
            }
            Head::Flag => name.clone(),
            Head::Value(value) => format!("{name} {assign} {value}"),
            Head::Member(key) if v0 => format!("{name}[{key}]"),
            Head::Member(key) => format!("{name} contains {key}"),
            Head::Entry(key, value) => format!("{name}[{key}] {assign} {value}"),
            Head::Function(args, None) => format!("{name}({})", args.join(", ")),
            Head::Function(args, Some(value)) => {
                format!("{name}({}) {assign} {value}", args.join(", "))
            }
        }
    }

    fn write(&self, v0: bool, text: &mut String) {
        text.push_str(&self.head(v0));
        if !matches!(self.head, Head::Default(_) | Head::DefaultFunction(..)) {
            for (index, body) in self.bodies.iter().enumerate() {
                self.write_body(index, body, v0, text);
            }
        }
        text.push('\n');
    }

    fn write_body(&self, index: usize, body: &Body, v0: bool, text: &mut String) {
        if index > 0 {
            let assign = if v0 { "=" } else { ":=" };
            let value = body.value.as_deref().unwrap_or("true");
            let _ = write!(text, " else {assign} {value}");
        }
        let bare = matches!(self.head, Head::Value(_) | Head::Entry(..));
        if body.statements.is_empty() && (index > 0 || (bare && !v0)) {
            return;
        }
        let keyword = if v0 { "" } else { "if " };
        let only_true = ["true".to_owned()];
        let statements: &[String] =
            if body.statements.is_empty() { &only_true } else { &body.statements };
        let _ = writeln!(text, " {keyword}{{");
        for statement in statements {
            let _ = writeln!(text, "\t{statement}");
        }
        text.push('}');
    }
}

impl File {
    /// The text, with `root` for [`DATA`] and before the package.
    fn text(&self, below: Option<&str>) -> String {
        let package = match below {
            Some(name) => format!("{name}.{}", self.package),
            None => self.package.clone(),
        };
        let mut text = format!("package {package}\n\n");
        for import in &self.imports {
            let _ = writeln!(text, "import {import}");
        }
        for rule in &self.rules {
            text.push('\n');
            rule.write(self.v0, &mut text);
        }
        let root = below.map_or_else(|| "data".to_owned(), |name| format!("data.{name}"));
        text.replace(DATA, &root)
    }
}

impl Policy {
    /// The name below which OPA has it.
    pub(crate) fn name(&self) -> String {
        format!("g{}", self.number)
    }

    /// The files as the engine is given them: paths and texts.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<_> =
            self.files.iter().map(|file| (file.path.clone(), file.text(None))).collect();
        files.push(("data.json".to_owned(), self.data.to_string()));
        let older = self.files.iter().filter(|file| file.v0);
        let versions: serde_json::Map<_, _> =
            older.map(|file| (file.path.clone(), json!(0))).collect();
        if !versions.is_empty() {
            let manifest = json!({"rego_version": 1, "file_rego_versions": versions});
            files.push((".manifest".to_owned(), manifest.to_string()));
        }
        files
    }

    /// The same for OPA, where it is one of many.
    pub(crate) fn files_below(&self) -> Vec<(String, String)> {
        let name = self.name();
        let mut files: Vec<_> = self
            .files
            .iter()
            .map(|file| (format!("{name}/{}", file.path), file.text(Some(&name))))
            .collect();
        files.push((format!("{name}/data.json"), self.data.to_string()));
        files
    }

    /// The rules that decide.
    pub(crate) fn deciding(&self) -> &'static [&'static str] {
        if self.seed_shape { &["allow", "deny_reason", "quota_remaining"] } else { &["decision"] }
    }

    /// The rules whose values a document notes under a label.
    pub(crate) fn rules_of_label(&self, label: &str) -> String {
        let mut text = String::new();
        for file in &self.files {
            let named = |rule: &&Rule| rule.name.replace('.', "_") == label;
            file.rules.iter().filter(named).for_each(|rule| rule.write(file.v0, &mut text));
        }
        text.replace(DATA, "data")
    }

    /// Everything, for a reader.
    pub(crate) fn listing(&self) -> String {
        let mut text = String::new();
        for (path, contents) in self.files() {
            let _ = writeln!(text, "--- {path}\n{}", contents.trim_end());
        }
        text
    }
}
