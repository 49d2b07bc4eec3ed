//! Makes expressions: of a type, out of what is in scope where they are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::catalogue::{Builtin, pool};
use crate::rng::Rng;
use crate::types::{ALL, COLLECTIONS, Type};

/// Builtins that differ from one evaluation to the next: only the type of their result is looked
/// at.
pub(crate) const FLEETING: &[&str] = &["time.now_ns", "rand.intn", "uuid.rfc4122"];
/// Builtins that vetting takes with literal arguments only, whose arguments are never anything
/// else.
const LITERAL: &[&str] = &[
    "numbers.range",
    "numbers.range_step",
    "bits.lsh",
    "units.parse",
    "units.parse_bytes",
    "rand.intn",
    "json.match_schema",
];

/// A rule that may be referred to.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) of: Type,
}

#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) args: Vec<Type>,
    pub(crate) of: Type,
}

#[derive(Debug)]
pub(crate) struct Maker<'a> {
    pub(crate) rng: Rng,
    /// Constructs and builtins used so far.
    pub(crate) tags: BTreeSet<String>,
    pub(crate) variables: Vec<(String, Type)>,
    pub(crate) rules: Vec<Known>,
    pub(crate) functions: Vec<Function>,
    pub(crate) builtins: &'a [Builtin],
    /// The package of the file that is written, and the names that its imports bring in.
    pub(crate) package: String,
    pub(crate) imports: BTreeMap<String, String>,
    pub(crate) v0: bool,
    names: usize,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(rng: Rng, builtins: &'a [Builtin]) -> Self {
        Self {
            rng,
            tags: BTreeSet::new(),
            variables: Vec::new(),
            rules: Vec::new(),
            functions: Vec::new(),
            builtins,
            package: String::new(),
            imports: BTreeMap::new(),
            v0: false,
            names: 0,
        }
    }

    pub(crate) fn tag(&mut self, tag: &str) {
        if !self.tags.contains(tag) {
            self.tags.insert(tag.to_owned());
        }
    }

    /// A name that nothing else has.
    pub(crate) fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// Makes something whose variables are not visible behind it.
    pub(crate) fn scope<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.variables.len();
        let made = inside(self);
        self.variables.truncate(mark);
        made
    }

    pub(crate) fn declare(&mut self, of: Type) -> String {
        let name = self.name("v");
        self.variables.push((name.clone(), of));
        name
    }

    /// How a rule or function of a package is written here.
    pub(crate) fn reference(&mut self, package: &str, name: &str) -> String {
        if package == self.package {
            return name.to_owned();
        }
        if let Some(alias) = self.imports.get(package).cloned() {
            self.tag("reference through an import");
            return format!("{alias}.{name}");
        }
        self.tag("reference into another package");
        format!("§.{package}.{name}")
    }

    pub(crate) fn any_type(&mut self) -> Type {
        *self.rng.pick(ALL)
    }

    pub(crate) fn any_collection(&mut self) -> Type {
        *self.rng.pick(COLLECTIONS)
    }

    pub(crate) fn literal(&mut self, of: Type) -> String {
        (*self.rng.pick(of.literals())).to_owned()
    }

    pub(crate) fn expr(&mut self, of: Type, depth: usize) -> String {
        let deep = if depth > 2 { 60 } else { 100 };
        match self.rng.below(deep) {
            0..22 => self.literal(of),
            22..40 => self.field(of),
            40..48 => self.place(of),
            48..56 => self.variable(of),
            56..60 => self.rule(of),
            60..70 => self.operator(of, depth),
            70..80 => self.comprehension(of, depth),
            80..88 => self.builtin(of, depth),
            88..94 => self.user_call(of, depth),
            _ => self.part(of, depth),
        }
    }

    pub(crate) fn field(&mut self, of: Type) -> String {
        if of.fields().is_empty() {
            return self.literal(of);
        }
        self.tag("reference into input");
        (*self.rng.pick(of.fields())).to_owned()
    }

    pub(crate) fn place(&mut self, of: Type) -> String {
        if of.places().is_empty() {
            return self.literal(of);
        }
        let place = *self.rng.pick(of.places());
        self.tag("reference into data");
        if place.contains('[') {
            self.tag("reference into data by a field of input");
        }
        place.to_owned()
    }

    pub(crate) fn variable(&mut self, of: Type) -> String {
        let fits = |(_, other): &&(String, Type)| *other == of;
        let fitting: Vec<_> = self.variables.iter().filter(fits).cloned().collect();
        if fitting.is_empty() { self.literal(of) } else { self.rng.pick(&fitting).0.clone() }
    }

    pub(crate) fn rule(&mut self, of: Type) -> String {
        let fitting: Vec<_> = self.rules.iter().filter(|rule| rule.of == of).cloned().collect();
        if fitting.is_empty() {
            return self.field(of);
        }
        let rule = self.rng.pick(&fitting).clone();
        self.tag("reference to a rule");
        self.reference(&rule.package, &rule.name)
    }

    fn operator(&mut self, of: Type, depth: usize) -> String {
        let (name, sign) = match of {
            Type::Number => *self.rng.pick(&[
                ("`+`", "+"),
                ("`-`", "-"),
                ("`*`", "*"),
                ("`/`", "/"),
                ("`%`", "%"),
            ]),
            Type::TextSet | Type::NumberSet => {
                *self.rng.pick(&[("set `|`", "|"), ("set `&`", "&"), ("set `-`", "-")])
            }
            Type::Flag => {
                let left = self.expr(Type::Number, depth + 1);
                let right = self.expr(Type::Number, depth + 1);
                self.tag("comparison as a value");
                return format!("({left} < {right})");
            }
            _ => return self.expr(of, depth + 2),
        };
        self.tag(name);
        let left = self.expr(of, depth + 1);
        // The remainder by a fraction is an error in OPA and elsewhere.
        let right = match sign {
            "%" => "3".to_owned(),
            // Exact to both engines.
            "/" => {
                (*self.rng.pick(&["2", "4", "0.5", "input.context.n - input.context.n"])).to_owned()
            }
            _ => self.expr(of, depth + 1),
        };
        format!("({left} {sign} ({right}))")
    }

    fn comprehension(&mut self, of: Type, depth: usize) -> String {
        self.scope(|maker| {
            let (open, close, inner) = match of {
                Type::Texts => ("[", "]", Type::Text),
                Type::Numbers => ("[", "]", Type::Number),
                Type::TextSet => ("{", "}", Type::Text),
                Type::NumberSet => ("{", "}", Type::Number),
                Type::Counts | Type::Labels => return maker.object_comprehension(of, depth),
                _ => return maker.expr(of, depth + 2),
            };
            maker.tag(if open == "[" { "array comprehension" } else { "set comprehension" });
            let body = maker.iteration(depth);
            let term = maker.expr(inner, depth + 2);
            format!("{open}{term} | {body}{close}")
        })
    }

    fn object_comprehension(&mut self, of: Type, depth: usize) -> String {
        self.tag("object comprehension");
        let from = if self.rng.chance(50) { of } else { Type::Counts };
        let source = self.expr(from, depth + 2);
        let (key, value) = (self.declare(Type::Text), self.declare(Type::Any));
        let term = self.scope(|maker| {
            // One key must not get two values, so the value comes from nothing but the key.
            maker.variables.retain(|(name, _)| *name != value);
            maker.expr(of.element(), depth + 3)
        });
        let term = if self.rng.chance(60) { value.clone() } else { term };
        let term = if of == Type::Labels { format!("sprintf(\"%v\", [{term}])") } else { term };
        format!("{{{key}: {term} | some {key}, {value} in {source}}}")
    }

    /// Statements that go through a collection, and perhaps leave something out.
    pub(crate) fn iteration(&mut self, depth: usize) -> String {
        let of = self.any_collection();
        let source = self.expr(of, depth + 2);
        let mut text = match self.rng.below(4) {
            0 => {
                self.tag("`some k, v in`");
                let key = self.declare(of.key());
                let value = self.declare(of.element());
                format!("some {key}, {value} in {source}")
            }
            1 if source.starts_with("input.") => {
                self.tag("`some i` before a reference");
                let index = self.declare(of.key());
                let value = self.declare(of.element());
                format!("some {index}; {value} := {source}[{index}]")
            }
            2 if source.starts_with("input.") || source.starts_with('§') => {
                self.tag("reference with `_`");
                let value = self.declare(of.element());
                format!("{value} := {source}[_]")
            }
            _ => {
                self.tag("`some v in`");
                let value = self.declare(of.element());
                format!("some {value} in {source}")
            }
        };
        if self.rng.chance(40) {
            for statement in self.condition(depth + 2) {
                text.push_str("; ");
                text.push_str(&statement);
            }
        }
        text
    }

    fn builtin(&mut self, of: Type, depth: usize) -> String {
        let fits = |builtin: &&Builtin| builtin.result == of && self.may_use(builtin);
        let fitting: Vec<_> = self.builtins.iter().filter(fits).collect();
        if fitting.is_empty() {
            return self.field(of);
        }
        let builtin = *self.rng.pick(&fitting);
        self.call(builtin, depth + 1)
    }

    /// Whether it can be anywhere in a file.
    pub(crate) fn may_use(&self, builtin: &Builtin) -> bool {
        let name = builtin.name.as_str();
        let special = FLEETING.contains(&name) || matches!(name, "walk" | "json.match_schema");
        !special && (self.v0 || !builtin.deprecated)
    }

    /// A call whose arguments are what the builtin wants, mostly.
    pub(crate) fn call(&mut self, builtin: &Builtin, depth: usize) -> String {
        self.tag(&builtin.name);
        let mut args = Vec::new();
        for (index, of) in builtin.args.iter().enumerate() {
            let pool = pool(&builtin.name, index);
            let literal = LITERAL.contains(&builtin.name.as_str());
            let text = match self.rng.below(100) {
                0..70 if !pool.is_empty() => self.of_pool(pool),
                _ if literal => self.of_pool(pool),
                96.. => {
                    self.tag("call that may be mistyped");
                    self.field(Type::Any)
                }
                _ => self.by_type(of, depth + 1),
            };
            args.push(text);
        }
        format!("{}({})", builtin.name, args.join(", "))
    }

    fn of_pool(&mut self, pool: &[&str]) -> String {
        let bad = self.rng.chance(8);
        let fits = |text: &&&str| bad || !text.starts_with('!');
        let fitting: Vec<_> = pool.iter().filter(fits).copied().collect();
        let text = *self.rng.pick(&fitting);
        text.strip_prefix('!').unwrap_or(text).to_owned()
    }

    /// A statement that calls it with literals only.
    pub(crate) fn literal_statement(&mut self, builtin: &Builtin) -> String {
        let mut args = Vec::new();
        for (index, of) in builtin.args.iter().enumerate() {
            let pool = pool(&builtin.name, index);
            let literals =
                pool.iter().filter(|text| !text.contains("input.") && !text.contains('§'));
            let literals: Vec<_> = literals.copied().collect();
            args.push(match literals.first() {
                Some(_) => self.of_pool(&literals),
                None => self.literal_of(of),
            });
        }
        let call = format!("{}({})", builtin.name, args.join(", "));
        match builtin.name.as_str() {
            "walk" => format!("{}({}, [_, _])", builtin.name, args.join(", ")),
            "json.match_schema" => format!("{call}[0]"),
            _ => format!("_ = {call}"),
        }
    }

    fn literal_of(&mut self, of: &Value) -> String {
        let of = match of["of"].as_array() {
            Some(types) if !types.is_empty() => self.rng.pick(types).clone(),
            _ => of.clone(),
        };
        let of = match of["type"].as_str().unwrap_or_default() {
            "number" => Type::Number,
            "string" => Type::Text,
            "boolean" => Type::Flag,
            "array" if of["dynamic"]["type"] == "number" => Type::Numbers,
            "array" if of["dynamic"]["type"] == "object" => return "[{\"a\": 1}]".to_owned(),
            "array" => Type::Texts,
            "set" if of["of"]["type"] == "set" => return "{{1}, {2}}".to_owned(),
            "set" if of["of"]["type"] == "number" => Type::NumberSet,
            "set" => Type::TextSet,
            "object" if of["dynamic"]["value"]["type"] == "string" => Type::Labels,
            "object" => Type::Tree,
            "null" => return "null".to_owned(),
            _ => Type::Any,
        };
        self.literal(of)
    }

    /// An argument of a type in the form of OPA's capabilities.
    fn by_type(&mut self, of: &Value, depth: usize) -> String {
        match of["type"].as_str().unwrap_or_default() {
            "number" => self.expr(Type::Number, depth),
            "string" => self.expr(Type::Text, depth),
            "boolean" => self.expr(Type::Flag, depth),
            "null" => "null".to_owned(),
            "any" => match of["of"].as_array() {
                Some(types) if !types.is_empty() => {
                    let of = self.rng.pick(types).clone();
                    self.by_type(&of, depth)
                }
                _ => {
                    let of = self.any_type();
                    self.expr(of, depth)
                }
            },
            "array" => self.array(of, depth),
            "set" => match of["of"]["type"].as_str().unwrap_or_default() {
                "set" => {
                    let of = if self.rng.chance(50) { Type::TextSet } else { Type::NumberSet };
                    format!("{{{}, {}}}", self.expr(of, depth), self.expr(of, depth))
                }
                "number" => self.expr(Type::NumberSet, depth),
                _ => self.expr(Type::TextSet, depth),
            },
            "object" => self.object(of, depth),
            other => panic!("a type of OPA that is not known here: `{other}`"),
        }
    }

    fn array(&mut self, of: &Value, depth: usize) -> String {
        if let Some(items) = of["static"].as_array().filter(|items| !items.is_empty()) {
            let items: Vec<_> = items.iter().map(|item| self.by_type(item, depth + 1)).collect();
            return format!("[{}]", items.join(", "));
        }
        match of["dynamic"]["type"].as_str().unwrap_or_default() {
            "number" => self.expr(Type::Numbers, depth),
            "string" => self.expr(Type::Texts, depth),
            "any" => {
                let of = if self.rng.chance(50) { Type::Texts } else { Type::Numbers };
                self.expr(of, depth)
            }
            _ => {
                let inner = self.by_type(&of["dynamic"].clone(), depth + 1);
                format!("[{inner}]")
            }
        }
    }

    fn object(&mut self, of: &Value, depth: usize) -> String {
        if of["dynamic"]["value"]["type"] == "string" {
            return self.expr(Type::Labels, depth);
        }
        let of = *self.rng.pick(&[Type::Tree, Type::Counts, Type::Labels]);
        self.expr(of, depth)
    }

    pub(crate) fn user_call(&mut self, of: Type, depth: usize) -> String {
        let fitting: Vec<_> =
            self.functions.iter().filter(|function| function.of == of).cloned().collect();
        if fitting.is_empty() {
            return self.field(of);
        }
        let function = self.rng.pick(&fitting).clone();
        self.call_of(&function, depth)
    }

    pub(crate) fn call_of(&mut self, function: &Function, depth: usize) -> String {
        self.tag("call of a function of the policy");
        let args: Vec<_> =
            function.args.iter().map(|of| self.expr(*of, depth.max(1) + 1)).collect();
        let name = self.reference(&function.package, &function.name);
        format!("{name}({})", args.join(", "))
    }

    /// A part of something, or a literal with parts.
    fn part(&mut self, of: Type, depth: usize) -> String {
        match of {
            Type::Number => format!("object.get({}, \"a\", 0)", self.expr(Type::Counts, depth + 1)),
            Type::Text => {
                format!("object.get({}, \"a\", \"none\")", self.expr(Type::Labels, depth + 1))
            }
            Type::Texts | Type::Numbers => {
                self.tag("array with expressions");
                let inner = of.element();
                format!("[{}, {}]", self.expr(inner, depth + 1), self.expr(inner, depth + 1))
            }
            Type::TextSet | Type::NumberSet => {
                self.tag("set with expressions");
                format!(
                    "{{{}, {}}}",
                    self.literal(of.element()),
                    self.expr(of.element(), depth + 1)
                )
            }
            Type::Counts | Type::Labels => {
                self.tag("object with expressions");
                let (key, value) =
                    (self.expr(Type::Text, depth + 2), self.expr(of.element(), depth + 1));
                format!("{{\"k\": {value}, {key}: {value}}}")
            }
            Type::Tree => {
                self.tag("object with expressions");
                let of = self.any_type();
                format!("{{\"x\": {{\"any\": {}}}}}", self.expr(of, depth + 1))
            }
            Type::Flag | Type::Any => self.literal(of),
        }
    }
}
