//! Rules and conditions as they are written, taken from the interpreter's syntax tree.

use std::ops::Range;

use regorus::Engine;
use serde_json::Value;

use crate::error::{WorkbenchError, interpreter};

/// One policy file.
#[derive(Debug)]
pub(crate) struct Module {
    pub file: String,
    /// `data.sentinel.policy`.
    pub package: String,
    /// As they are written.
    pub imports: Vec<String>,
    /// Those that take no arguments and have a plain name.
    pub rules: Vec<Rule>,
    /// What replaces `input` by `with input as …`.
    pub inputs: Vec<Condition>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub name: String,
    pub line: u32,
    pub bodies: Vec<Body>,
}

#[derive(Debug)]
pub(crate) struct Body {
    pub is_else: bool,
    pub conditions: Vec<Condition>,
}

/// One statement of a body, or an expression.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub line: u32,
    pub text: String,
    /// The outermost references and variables in it, as they are written, each once.
    pub references: Vec<String>,
}

/// The syntax trees of an engine's files, as it prints them.
pub(crate) fn tree(engine: &Engine) -> Result<Value, WorkbenchError> {
    let tree = engine.get_ast_as_json().map_err(interpreter)?;
    serde_json::from_str(&tree).map_err(interpreter)
}

/// The files of an engine.
pub(crate) fn modules(engine: &Engine) -> Result<Vec<Module>, WorkbenchError> {
    Ok(list(&tree(engine)?).iter().filter_map(module).collect())
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn module(tree: &Value) -> Option<Module> {
    let contents = tree.pointer("/source/contents")?.as_str()?;
    let ast = tree.get("ast")?;
    let package = text(contents, expression(ast.pointer("/package/refr")?)?)?;
    let imports = list(ast.get("imports").unwrap_or(&Value::Null));
    let rules = list(ast.get("rules")?);
    let mut inputs = Vec::new();
    replaced_inputs(contents, ast, &mut inputs);
    Some(Module {
        inputs,
        file: tree.pointer("/source/file")?.as_str()?.to_owned(),
        package: format!("data.{package}"),
        imports: imports.iter().filter_map(|import| text(contents, import)).collect(),
        rules: rules.iter().filter_map(|spec| rule(contents, spec)).collect(),
    })
}

fn rule(contents: &str, rule: &Value) -> Option<Rule> {
    let spec = rule.get("Spec")?;
    let head = spec.get("head")?;
    let head = head.get("Compr").or_else(|| head.get("Set"))?;
    let name = text(contents, expression(head.get("refr")?)?)?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let bodies = list(spec.get("bodies")?);
    plain.then(|| Rule {
        name,
        line: line(spec),
        bodies: bodies.iter().map(|tree| body(contents, tree)).collect(),
    })
}

fn body(contents: &str, tree: &Value) -> Body {
    let statements = tree.pointer("/query/stmts").unwrap_or(&Value::Null);
    Body {
        is_else: tree.get("is_else").and_then(Value::as_bool).unwrap_or(false),
        conditions: list(statements).iter().filter_map(|tree| condition(contents, tree)).collect(),
    }
}

fn condition(contents: &str, statement: &Value) -> Option<Condition> {
    let mut references = Vec::new();
    // What `with` replaces is named, not read.
    collect(contents, statement.get("literal")?, &mut references);
    Some(Condition { line: line(statement), text: text(contents, statement)?, references })
}

/// The outermost references below `tree`. Inside comprehensions and `every`, variables mean
/// something only there.
fn collect(contents: &str, tree: &Value, found: &mut Vec<String>) {
    match tree {
        Value::Array(items) => items.iter().for_each(|item| collect(contents, item, found)),
        Value::Object(fields) => {
            for (kind, inner) in fields {
                match kind.as_str() {
                    "RefDot" | "RefBrack" | "Var" => {
                        if let Some(text) = text(contents, inner)
                            && !found.contains(&text)
                            && !text.starts_with('_')
                        {
                            found.push(text);
                        }
                    }
                    "Call" => collect(contents, inner.get("params").unwrap_or(inner), found),
                    "Every" => collect(contents, inner.get("domain").unwrap_or(inner), found),
                    "ArrayCompr" | "SetCompr" | "ObjectCompr" | "span" => {}
                    _ => collect(contents, inner, found),
                }
            }
        }
        _ => {}
    }
}

fn replaced_inputs(contents: &str, tree: &Value, found: &mut Vec<Condition>) {
    match tree {
        Value::Array(items) => {
            items.iter().for_each(|item| replaced_inputs(contents, item, found));
        }
        Value::Object(fields) => {
            for with in fields.get("with_mods").map(list).unwrap_or_default() {
                let part = |name: &str| Some((with.get(name)?, expression(with.get(name)?)?));
                let name = part("refr").and_then(|(_, node)| text(contents, node));
                if let (Some("input"), Some((tree, node))) = (name.as_deref(), part("as"))
                    && let Some(text) = text(contents, node)
                {
                    let mut references = Vec::new();
                    collect(contents, tree, &mut references);
                    found.push(Condition { line: line(node), text, references });
                }
            }
            fields.values().for_each(|inner| replaced_inputs(contents, inner, found));
        }
        _ => {}
    }
}

/// The node inside the tag of an expression's kind.
pub(crate) fn expression(tree: &Value) -> Option<&Value> {
    tree.as_object()?.values().next()
}

pub(crate) fn line(node: &Value) -> u32 {
    let line = node.pointer("/span/line").and_then(Value::as_u64).unwrap_or_default();
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// Where a node is in its file, in bytes.
pub(crate) fn span(node: &Value) -> Option<Range<usize>> {
    let at = |name: &str| usize::try_from(node.get("span")?.get(name)?.as_u64()?).ok();
    Some(at("start")?..at("end")?)
}

/// The same, with the quotation marks of a string that it begins or ends with: the interpreter
/// leaves them out.
pub(crate) fn extent(contents: &str, node: &Value) -> Option<Range<usize>> {
    let Range { start, end } = span(node)?;
    let is_mark = |c: char| matches!(c, '"' | '`');
    let start = match contents.get(..start)?.chars().next_back() {
        Some(mark) if is_mark(mark) => start - 1,
        _ => start,
    };
    let (mut open, mut escaped) = (None, false);
    for c in contents.get(start..end)?.chars() {
        match open {
            None if is_mark(c) => open = Some(c),
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(mark) if c == mark => open = None,
            _ => {}
        }
    }
    let is_closed_there =
        open.is_some_and(|mark| contents.get(end..).is_some_and(|rest| rest.starts_with(mark)));
    Some(start..if is_closed_there { end + 1 } else { end })
}

pub(crate) fn text(contents: &str, node: &Value) -> Option<String> {
    Some(contents.get(extent(contents, node)?)?.trim().to_owned())
}
