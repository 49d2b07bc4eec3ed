//! Makes policies: helpers in one or two packages, complaints that gate `allow`, and the document.

use serde_json::{Value, json};

use crate::catalogue::Builtin;
use crate::inputs;
use crate::maker::{Known, Maker};
use crate::rng::Rng;
use crate::text::{File, Head, PACKAGE, Policy, Rule};
use crate::types::Type;

/// Makes the policy of a number. Each builtin has its turn.
pub(crate) fn make(seed: u64, number: usize, builtins: &[Builtin], inputs: usize) -> Policy {
    let mut maker = Maker::new(Rng::new(seed, number as u64), builtins);
    let mut files = Vec::new();
    if maker.rng.chance(35) {
        files.push(library(&mut maker, number));
    }
    files.extend(main(&mut maker, number));
    let seed_shape = !files.iter().flat_map(|file| &file.rules).any(|rule| rule.name == "decision");
    maker.tag(if seed_shape { "shape of the seed" } else { "decision document" });
    if files.len() > 1 {
        maker.tag("several files");
    }
    if files.iter().any(|file| file.v0) {
        maker.tag("file of v0");
    }
    let data = inputs::data(&mut maker.rng);
    let inputs = (0..inputs).map(|_| inputs::input(&mut maker.rng)).collect();
    Policy { number, files, data, seed_shape, tags: maker.tags, inputs }
}

/// The first lines of a file, as its version wants them.
fn header(maker: &mut Maker<'_>, package: &str, v0: bool) -> Vec<String> {
    maker.package = package.to_owned();
    maker.imports.clear();
    maker.v0 = v0;
    if v0 {
        maker.tag("`import future.keywords`");
        return vec!["future.keywords.in".to_owned(), "future.keywords.every".to_owned()];
    }
    if maker.rng.chance(15) {
        maker.tag("`import rego.v1`");
        return vec!["rego.v1".to_owned()];
    }
    Vec::new()
}

/// A file of helpers in a package of its own.
fn library(maker: &mut Maker<'_>, number: usize) -> File {
    let package = (*maker.rng.pick(&["lib.common", "lib.checks", "acme.rules"])).to_owned();
    let v0 = maker.rng.chance(25);
    let imports = header(maker, &package, v0);
    let mut rules = Vec::new();
    for _ in 0..1 + maker.rng.below(2) {
        rules.extend(maker.helper());
    }
    rules.extend(turn(maker, number.wrapping_mul(3)));
    let path = if v0 { "lib/v0_lib.rego" } else { "lib/lib.rego" };
    File { path: path.to_owned(), package, v0, imports, rules }
}

/// The files of the package that decides.
fn main(maker: &mut Maker<'_>, number: usize) -> Vec<File> {
    let v0 = maker.rng.chance(10);
    let mut imports = header(maker, PACKAGE, v0);
    let library = maker.rules.first().map(|rule| rule.package.clone());
    if let Some(package) = library.filter(|_| maker.rng.chance(70)) {
        let alias = if maker.rng.chance(50) {
            maker.tag("`import … as`");
            imports.push(format!("§.{package} as shared"));
            "shared".to_owned()
        } else {
            maker.tag("`import` of a package");
            imports.push(format!("§.{package}"));
            package.rsplit('.').next().unwrap().to_owned()
        };
        maker.imports.insert(package, alias);
    }
    let mut rules = Vec::new();
    for _ in 0..1 + maker.rng.below(3) {
        rules.extend(maker.helper());
    }
    for turns in 0..2 {
        rules.extend(turn(maker, number.wrapping_mul(3) + 1 + turns));
    }
    // The first of two files has the helpers, and its rules are seen from the other.
    let mut files = Vec::new();
    if maker.rng.chance(15) {
        maker.tag("one package in two files");
        let rules = std::mem::take(&mut rules);
        let (path, imports) = (if v0 { "v0_more.rego" } else { "more.rego" }, imports.clone());
        files.push(File { path: path.to_owned(), package: PACKAGE.to_owned(), v0, imports, rules });
    }
    let mut last = complaints(maker);
    last.extend(allow(maker));
    last.iter_mut().for_each(Rule::drop_unused);
    rules.extend(last);
    let notes = notes(maker, &mut rules);
    if maker.rng.chance(80) {
        rules.extend(document(maker, &notes));
    } else {
        rules.extend(seed_shape(maker, &notes));
    }
    let path = if v0 { "v0_policy.rego" } else { "policy.rego" };
    files.push(File { path: path.to_owned(), package: PACKAGE.to_owned(), v0, imports, rules });
    files
}

/// A rule that is about the builtin whose turn it is.
fn turn(maker: &mut Maker<'_>, turn: usize) -> Vec<Rule> {
    let builtins = maker.builtins;
    let builtin = &builtins[turn % builtins.len()];
    if builtin.deprecated && !maker.v0 {
        return Vec::new();
    }
    let name = maker.name("uses");
    let (head, of, statements) = maker.scope(|maker| {
        let mut statements = maker.builtin_statements(builtin, 0);
        let result = maker.variables.last().cloned();
        if maker.rng.chance(30) {
            statements.extend(maker.condition(1));
        }
        match result {
            Some((result, of)) if statements.len() > 1 || statements[0].contains(&result) => {
                (Head::Value(result), of, statements)
            }
            _ => (Head::Flag, Type::Flag, statements),
        }
    });
    maker.rules.push(Known { package: maker.package.clone(), name: name.clone(), of });
    // One path may have several values.
    let head = match head {
        Head::Value(value) if builtin.name == "walk" => {
            Head::Member(format!("json.marshal({value})"))
        }
        head => head,
    };
    if builtin.name == "walk" {
        maker.rules.last_mut().unwrap().of = Type::TextSet;
    }
    let mut rule = Rule::new(name, head, statements);
    rule.drop_unused();
    vec![rule]
}

/// Rules that, when they hold, are to turn `allow` off.
fn complaints(maker: &mut Maker<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for _ in 0..1 + maker.rng.below(2) {
        let of_rule = maker.rng.chance(50);
        let rule = maker.scope(|maker| {
            let mut statements = Vec::new();
            if of_rule {
                let rule = maker.flag_rule();
                statements.push(rule);
            }
            let more = 1 + maker.rng.below(2);
            statements.extend(maker.conditions(more));
            Rule::new("denied", Head::Flag, statements)
        });
        rules.push(rule);
    }
    rules
}

fn allow(maker: &mut Maker<'_>) -> Vec<Rule> {
    let mut rules = vec![Rule::new("allow", Head::Default("false".to_owned()), vec![])];
    maker.tag("default rule");
    let names: Vec<String> = maker
        .rules
        .iter()
        .filter(|rule| rule.of == Type::Flag && rule.package == maker.package)
        .map(|rule| rule.name.clone())
        .collect();
    for _ in 0..1 + maker.rng.below(2) {
        let rule = maker.scope(|maker| {
            let mut statements = maker.likely();
            if maker.rng.chance(35) {
                statements.extend(maker.condition(0));
            }
            statements.push("not denied".to_owned());
            if let Some(name) = names.last().filter(|_| maker.rng.chance(25)) {
                maker.tag("`not` of a rule");
                statements.push(format!("not {name}"));
            }
            Rule::new("allow", Head::Flag, statements)
        });
        rules.push(rule);
    }
    rules
}

/// Notes what each rule came to, so that the document shows it.
fn notes(maker: &mut Maker<'_>, rules: &mut Vec<Rule>) -> String {
    let known = maker.rules.clone();
    let set = maker.rng.chance(50);
    for rule in known.iter().rev().take(8) {
        let value = maker.reference(&rule.package, &rule.name);
        let label = format!("\"{}\"", rule.name.replace('.', "_"));
        let head = if set {
            Head::Member(format!("[{label}, note]"))
        } else {
            Head::Entry(label, "note".to_owned())
        };
        rules.push(Rule::new("notes", head, vec![format!("note := {value}")]));
    }
    if known.is_empty() {
        rules.push(Rule::new("notes", Head::Value("[]".to_owned()), vec![]));
    }
    "notes".to_owned()
}

fn document(maker: &mut Maker<'_>, notes: &str) -> Vec<Rule> {
    maker.tag("`not` of a rule");
    let alert = format!("[{{\"type\": \"alert\", \"seen\": {notes}}}]");
    let denied = |reason: &str| {
        format!(
            "{{\"allow\": false, \"reasons\": [{{\"code\": \"{reason}\", \"msg\": \"no\"}}], \"obligations\": {alert}}}"
        )
    };
    let allowed = format!(
        "{{\"allow\": true, \"obligations\": {alert}, \"quota\": {{\"limit\": 1000, \"window\": \"1d\"}}}}"
    );
    if maker.rng.chance(50) {
        maker.tag("`else`");
        let mut rule = Rule::new("decision", Head::Value(allowed), vec!["allow".to_owned()]);
        let value = Some(denied("denied"));
        rule.bodies.push(crate::text::Body { value, statements: vec![] });
        return vec![rule];
    }
    let default = r#"{"allow": false, "reasons": []}"#.to_owned();
    vec![
        Rule::new("decision", Head::Default(default), vec![]),
        Rule::new("decision", Head::Value(allowed), vec!["allow".to_owned()]),
        Rule::new("decision", Head::Value(denied("other")), vec!["not allow".to_owned()]),
    ]
}

fn seed_shape(maker: &mut Maker<'_>, notes: &str) -> Vec<Rule> {
    maker.tag("sprintf");
    maker.tag("json.marshal");
    vec![
        Rule::new(
            "deny_reason",
            Head::Member(format!("sprintf(\"seen %s\", [json.marshal({notes})])")),
            vec!["not allow".to_owned()],
        ),
        Rule::new(
            "quota_remaining",
            Head::Value("1000 - input.usage".to_owned()),
            vec!["is_number(input.usage)".to_owned()],
        ),
    ]
}

/// For a policy about nothing but one call.
pub(crate) fn probe(number: usize, v0: bool, call: &str) -> Policy {
    let rules = vec![
        Rule::new("allow", Head::Default("false".to_owned()), vec![]),
        Rule::new("allow", Head::Flag, vec!["input.tool == \"docs\"".to_owned(), call.to_owned()]),
    ];
    let imports = Vec::new();
    let path = if v0 { "v0_policy.rego" } else { "policy.rego" }.to_owned();
    let file = File { path, package: PACKAGE.to_owned(), v0, imports, rules };
    let (tags, inputs) = (std::collections::BTreeSet::default(), Vec::new());
    let data: Value = json!({});
    Policy { number, files: vec![file], data, seed_shape: true, tags, inputs }
}
