//! Makes rules of every kind.

use crate::maker::{Function, Known, Maker};
use crate::text::{Body, Head, Rule};
use crate::types::Type;

impl Maker<'_> {
    /// One more rule that others may refer to, in one or more definitions.
    pub(crate) fn helper(&mut self) -> Vec<Rule> {
        let mut rules = self.some_helper();
        rules.iter_mut().for_each(Rule::drop_unused);
        rules
    }

    fn some_helper(&mut self) -> Vec<Rule> {
        match self.rng.below(100) {
            0..22 => self.flag(),
            22..42 => self.value(),
            42..56 => self.members(),
            56..66 => self.entries(),
            66..86 => self.function(),
            _ if self.v0 => self.members(),
            86..92 => self.dotted(),
            _ => self.entries_by_reference(),
        }
    }

    fn know(&mut self, name: &str, of: Type) {
        let package = self.package.clone();
        self.rules.push(Known { package, name: name.to_owned(), of });
    }

    fn body(&mut self, count: usize) -> Vec<String> {
        let count = 1 + self.rng.below(count);
        self.conditions(count)
    }

    fn flag(&mut self) -> Vec<Rule> {
        let name = self.name("ok");
        self.tag("complete rule without a value");
        let mut rules = Vec::new();
        if self.rng.chance(25) {
            self.tag("default rule");
            let value = self.literal(Type::Flag);
            rules.push(Rule::new(&name, Head::Default(value), vec![]));
        }
        let definitions = 1 + self.rng.below(2);
        if definitions > 1 {
            self.tag("several definitions of a rule");
        }
        for _ in 0..definitions {
            let rule = self.scope(|maker| {
                let statements = maker.body(2);
                Rule::new(&name, Head::Flag, statements)
            });
            rules.push(rule);
        }
        if self.rng.chance(15) {
            self.otherwise(Type::Flag, rules.last_mut().unwrap());
        }
        self.know(&name, Type::Flag);
        rules
    }

    /// Adds an `else`, or two.
    fn otherwise(&mut self, of: Type, rule: &mut Rule) {
        self.tag("`else`");
        for _ in 0..1 + self.rng.below(2) {
            let body = self.scope(|maker| {
                let statements = maker.body(2);
                let value = maker.expr(of, 1);
                Body { value: Some(value), statements }
            });
            rule.bodies.push(body);
        }
        if self.rng.chance(30) {
            self.tag("`else` without a body");
            let value = Some(self.literal(of));
            rule.bodies.push(Body { value, statements: vec![] });
        }
    }

    fn value(&mut self) -> Vec<Rule> {
        let (name, of) = (self.name("value"), self.any_type());
        self.tag("complete rule with a value");
        let mut rules = Vec::new();
        if self.rng.chance(30) {
            self.tag("default rule");
            rules.push(Rule::new(&name, Head::Default(self.literal(of)), vec![]));
        }
        let bare = self.rng.chance(20);
        let mut rule = self.scope(|maker| {
            let statements = if bare { vec![] } else { maker.body(2) };
            let value = maker.expr(of, 0);
            Rule::new(&name, Head::Value(value), statements)
        });
        if bare {
            self.tag("complete rule without a body");
        } else if self.rng.chance(35) {
            self.otherwise(of, &mut rule);
        }
        rules.push(rule);
        self.know(&name, of);
        rules
    }

    fn members(&mut self) -> Vec<Rule> {
        let name = self.name("set");
        let of = if self.rng.chance(60) { Type::TextSet } else { Type::NumberSet };
        self.tag("partial set");
        let definitions = 1 + self.rng.below(2);
        let mut rules = Vec::new();
        for _ in 0..definitions {
            let rule = self.scope(|maker| {
                let mut statements = vec![maker.iteration(1)];
                if maker.rng.chance(40) {
                    statements.extend(maker.condition(1));
                }
                let key = maker.expr(of.element(), 1);
                Rule::new(&name, Head::Member(key), statements)
            });
            rules.push(rule);
        }
        self.know(&name, of);
        rules
    }

    fn entries(&mut self) -> Vec<Rule> {
        let name = self.name("map");
        self.tag("partial object");
        let rule = self.scope(|maker| {
            let source = maker.expr(Type::Counts, 1);
            let (key, value) = (maker.declare(Type::Text), maker.declare(Type::Number));
            let mut statements = vec![format!("some {key}, {value} in {source}")];
            if maker.rng.chance(40) {
                statements.extend(maker.condition(1));
            }
            Rule::new(&name, Head::Entry(key, value), statements)
        });
        self.know(&name, Type::Counts);
        vec![rule]
    }

    /// `a.b.c contains x`.
    fn dotted(&mut self) -> Vec<Rule> {
        let name = format!("{}.part.one", self.name("ref"));
        let rule = self.scope(|maker| {
            let statements = vec![maker.iteration(1)];
            if maker.rng.chance(60) {
                maker.tag("partial set at a reference");
                let key = maker.expr(Type::Text, 1);
                maker.know(&name, Type::TextSet);
                Rule::new(&name, Head::Member(key), statements)
            } else {
                maker.tag("complete rule at a reference");
                maker.know(&name, Type::Number);
                let value = maker.literal(Type::Number);
                Rule::new(&name, Head::Value(value), statements)
            }
        });
        vec![rule]
    }

    /// `a[k].b := v`, `a.b[k] := v`, `a[k] contains v`.
    fn entries_by_reference(&mut self) -> Vec<Rule> {
        let base = self.name("tree");
        let source = *self.rng.pick(&["input.context.counts", "§.limits", "§.labels"]);
        let (key, value) = (self.name("k"), self.name("v"));
        let statements = vec![format!("some {key}, {value} in {source}")];
        let known = *self.rng.pick(&["a", "ledger", "acme"]);
        let rule = match self.rng.below(3) {
            0 => {
                self.tag("head reference with a variable inside");
                self.know(&format!("{base}.{known}.amount"), Type::Any);
                Rule::new(format!("{base}[{key}].amount"), Head::Value(value), statements)
            }
            1 => {
                self.tag("partial object at a reference");
                self.know(&format!("{base}.part.{known}"), Type::Any);
                Rule::new(format!("{base}.part"), Head::Entry(key, value), statements)
            }
            _ => {
                self.tag("partial set below a variable");
                self.know(&format!("{base}.{known}"), Type::Any);
                Rule::new(format!("{base}[{key}]"), Head::Member(value), statements)
            }
        };
        vec![rule]
    }

    fn function(&mut self) -> Vec<Rule> {
        let (name, of) = (self.name("f"), self.any_type());
        let of = if self.rng.chance(45) { Type::Flag } else { of };
        let count = 1 + self.rng.below(2);
        let args: Vec<Type> = (0..count).map(|_| self.any_type()).collect();
        self.tag("function");
        let mut rules = Vec::new();
        if self.rng.chance(15) && !self.v0 {
            self.tag("default function");
            let wildcards = vec!["_".to_owned(); count];
            let value = self.literal(of);
            rules.push(Rule::new(&name, Head::DefaultFunction(wildcards, value), vec![]));
        }
        match self.rng.below(4) {
            0 => rules.extend(self.by_cases(&name, &args, of)),
            1 if of == Type::Flag => {
                self.tag("several definitions of a function");
                rules.push(self.definition(&name, &args, None));
                rules.push(self.definition(&name, &args, None));
            }
            _ if of == Type::Flag => rules.push(self.definition(&name, &args, None)),
            _ => rules.push(self.definition(&name, &args, Some(of))),
        }
        let package = self.package.clone();
        self.functions.push(Function { package, name, args, of });
        rules
    }

    fn definition(&mut self, name: &str, args: &[Type], of: Option<Type>) -> Rule {
        self.scope(|maker| {
            let names: Vec<_> = args.iter().map(|of| maker.declare(*of)).collect();
            // What the first body declares is not visible in the others.
            let (statements, value) = maker.scope(|maker| {
                let statements = maker.body(2);
                (statements, of.map(|of| maker.expr(of, 1)))
            });
            let mut rule = Rule::new(name, Head::Function(names, value), statements);
            if maker.rng.chance(30) {
                maker.tag("`else` of a function");
                maker.otherwise(of.unwrap_or(Type::Flag), &mut rule);
            }
            rule
        })
    }

    /// Definitions that are told apart by literals and patterns in place of arguments.
    fn by_cases(&mut self, name: &str, args: &[Type], of: Type) -> Vec<Rule> {
        self.tag("function with patterns");
        let rest: Vec<Type> = args.iter().skip(1).copied().collect();
        let first: Type = args[0];
        let mut cases: Vec<String> = Vec::new();
        for _ in 0..2 {
            let case = self.literal(first);
            if !cases.contains(&case) {
                cases.push(case);
            }
        }
        let mut rules = Vec::new();
        for case in cases {
            let rule = self.scope(|maker| {
                let names =
                    std::iter::once(case).chain(rest.iter().map(|of| maker.declare(*of))).collect();
                let statements = maker.body(1);
                let value = maker.expr(of, 1);
                Rule::new(name, Head::Function(names, Some(value)), statements)
            });
            rules.push(rule);
        }
        rules
    }
}
