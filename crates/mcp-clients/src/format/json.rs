//! JSON, with comments and trailing commas.

use std::collections::BTreeSet;
use std::ops::Range;

use jsonc_parser::ast::{Array, Object, ObjectProp, Value};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Shape, URLS, holds_secrets, line_start};
use crate::entry::{Args, Entry, Kind, Literal};
use crate::error::Error;
use crate::splice::newline;

/// What clients accept besides JSON; what goes beyond is refused, for they may read it otherwise.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn entries(shape: &Shape, text: &str) -> Result<Vec<Entry>, Error> {
    let Some(root) = parse(text)? else { return Ok(Vec::new()) };
    let Value::Object(root) = root else {
        return Err(Error::Syntax { format: "JSON", detail: "it is not an object".to_owned() });
    };
    let mut found = Vec::new();
    for path in shape.servers {
        walk(shape, text, &root, path, None, &mut found)?;
    }
    Ok(found)
}

fn parse(text: &str) -> Result<Option<Value<'_>>, Error> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS);
    let parsed =
        parsed.map_err(|error| Error::Syntax { format: "JSON", detail: error.to_string() })?;
    Ok(parsed.value)
}

/// Follows a path to the objects with servers.
fn walk(
    shape: &Shape,
    text: &str,
    object: &Object<'_>,
    path: &[&str],
    scope: Option<&str>,
    found: &mut Vec<Entry>,
) -> Result<(), Error> {
    distinct(object)?;
    let Some((first, rest)) = path.split_first() else {
        for server in &object.properties {
            found.push(entry(shape, text, server, scope)?);
        }
        return Ok(());
    };
    for property in &object.properties {
        let name = property.name.as_str();
        let Value::Object(inner) = &property.value else { continue };
        if *first == "*" {
            walk(shape, text, inner, rest, Some(name), found)?;
        } else if *first == name {
            walk(shape, text, inner, rest, scope, found)?;
        }
    }
    Ok(())
}

/// Refuses names that occur twice: which of them counts is for each reader to choose.
fn distinct(object: &Object<'_>) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for property in &object.properties {
        let name = property.name.as_str();
        if !names.insert(name) {
            return Err(Error::Duplicate { name: name.to_owned() });
        }
    }
    Ok(())
}

fn entry(
    shape: &Shape,
    text: &str,
    server: &ObjectProp<'_>,
    scope: Option<&str>,
) -> Result<Entry, Error> {
    let name = server.name.as_str().to_owned();
    let scope = scope.map(str::to_owned);
    let Value::Object(object) = &server.value else {
        let kind = Kind::Broken("it is not an object");
        return Ok(Entry { scope, name, is_disabled: false, kind });
    };
    distinct(object)?;
    let kind = match object.get(shape.command) {
        // Zed once had the whole command in an object of its own.
        Some(ObjectProp { value: Value::Object(nested), .. }) => {
            distinct(nested)?;
            nested.get("path").map(|path| stdio(shape, text, nested, path))
        }
        Some(command) => Some(stdio(shape, text, object, command)),
        None => None,
    };
    let kind = kind.unwrap_or_else(|| elsewhere(object));
    Ok(Entry { scope, name, is_disabled: is_disabled(object), kind })
}

fn is_disabled(object: &Object<'_>) -> bool {
    let is = |name: &str, value: bool| {
        let stated = object.get(name).and_then(|property| property.value.as_boolean_lit());
        stated.is_some_and(|stated| stated.value == value)
    };
    is("disabled", true) || is("enabled", false)
}

fn elsewhere(object: &Object<'_>) -> Kind {
    let text = |name: &str| {
        let value = object.get(name)?.value.as_string_lit()?;
        Some(value.value.to_string())
    };
    match URLS.into_iter().find_map(text) {
        Some(url) => Kind::Remote(url),
        None => Kind::Other(text("type").unwrap_or_default()),
    }
}

fn stdio(shape: &Shape, text: &str, object: &Object<'_>, command: &ObjectProp<'_>) -> Kind {
    let Some(program) = literal(&command.value) else {
        return Kind::Broken("its command is not a string");
    };
    let key = command.start();
    let args = match object.get(shape.args) {
        None => absent(shape, text, key),
        Some(property) => match &property.value {
            Value::Array(list) => match flow(list, property.start()) {
                Some(args) => args,
                None => return Kind::Broken("its arguments are not all strings"),
            },
            _ => return Kind::Broken("its arguments are not a list"),
        },
    };
    Kind::Stdio { command: program, key, args }
}

fn absent(shape: &Shape, text: &str, key: usize) -> Args {
    let indent = line_start(text, key);
    let after = if indent.trim().is_empty() && !indent.is_empty() {
        format!(",{}{indent}", newline(text))
    } else {
        ", ".to_owned()
    };
    Args::Absent { before: format!("\"{}\": ", shape.args), after }
}

fn flow(list: &Array<'_>, key: usize) -> Option<Args> {
    let items = list.elements.iter().map(literal).collect::<Option<_>>()?;
    Some(Args::Flow { items, open: list.start() + 1, key })
}

fn literal(value: &Value<'_>) -> Option<Literal> {
    let text = value.as_string_lit()?;
    Some(Literal { value: text.value.to_string(), span: text.start()..text.end() })
}

/// The values in objects that may hold secrets.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if let Ok(Some(root)) = parse(text) {
        look(&root, false, &mut found);
    }
    found
}

fn look(value: &Value<'_>, is_secret: bool, found: &mut Vec<Range<usize>>) {
    match value {
        Value::Object(object) => {
            for property in &object.properties {
                let is_secret = is_secret || holds_secrets(property.name.as_str());
                look(&property.value, is_secret, found);
            }
        }
        Value::Array(list) => list.elements.iter().for_each(|item| look(item, is_secret, found)),
        other if is_secret => found.push(other.start()..other.end()),
        _ => {}
    }
}
