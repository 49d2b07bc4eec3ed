//! TOML.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike, Value};

use super::{MAX_DEPTH, Shape, URLS, holds_secrets, line_start};
use crate::entry::{Args, Entry, Kind, Literal};
use crate::error::Error;
use crate::splice::newline;

pub(super) fn entries(shape: &Shape, text: &str) -> Result<Vec<Entry>, Error> {
    let document = parse(text)?;
    let mut found = Vec::new();
    for path in shape.servers {
        let mut table: Option<&dyn TableLike> = Some(document.as_table());
        for name in *path {
            table = table.and_then(|table| table.get(name)).and_then(Item::as_table_like);
        }
        let Some(servers) = table else { continue };
        for (name, item) in servers.iter() {
            found.push(entry(shape, text, name, item));
        }
    }
    Ok(found)
}

fn parse(text: &str) -> Result<Document<&str>, Error> {
    Document::parse(text).map_err(|error| {
        let detail = error.message().to_owned();
        Error::Syntax { format: "TOML", detail }
    })
}

fn entry(shape: &Shape, text: &str, name: &str, item: &Item) -> Entry {
    let name = name.to_owned();
    let Some(table) = item.as_table_like() else {
        let kind = Kind::Broken("it is not a table");
        return Entry { scope: None, name, is_disabled: false, kind };
    };
    let is_inline = item.as_inline_table().is_some();
    let kind = match table.get_key_value(shape.command) {
        Some((key, value)) => stdio(shape, text, table, (key, value), is_inline),
        None => elsewhere(table),
    };
    let is_disabled = table.get("enabled").and_then(Item::as_bool) == Some(false);
    Entry { scope: None, name, is_disabled, kind }
}

fn elsewhere(table: &dyn TableLike) -> Kind {
    let url = URLS.into_iter().find_map(|name| table.get(name)?.as_str());
    url.map_or_else(|| Kind::Other(String::new()), |url| Kind::Remote(url.to_owned()))
}

fn stdio(
    shape: &Shape,
    text: &str,
    table: &dyn TableLike,
    (key, command): (&Key, &Item),
    is_inline: bool,
) -> Kind {
    let Some(program) = command.as_value().and_then(literal) else {
        return Kind::Broken("its command is not a string");
    };
    let Some(key) = key.span().map(|span| span.start) else {
        return Kind::Broken("its command cannot be found in the text");
    };
    let args = match table.get_key_value(shape.args) {
        None => absent(shape, text, key, is_inline),
        Some((name, value)) => match flow(name, value) {
            Some(args) => args,
            None => return Kind::Broken("its arguments are not a list of strings"),
        },
    };
    Kind::Stdio { command: program, key, args }
}

/// In a table, the new line begins as that of the command does: with its path, if it has one.
fn absent(shape: &Shape, text: &str, key: usize, is_inline: bool) -> Args {
    let after = if is_inline {
        ", ".to_owned()
    } else {
        format!("{}{}", newline(text), line_start(text, key))
    };
    Args::Absent { before: format!("{} = ", shape.args), after }
}

fn flow(key: &Key, value: &Item) -> Option<Args> {
    let list = value.as_array()?;
    let items = list.iter().map(literal).collect::<Option<_>>()?;
    Some(Args::Flow { items, open: list.span()?.start + 1, key: key.span()?.start })
}

fn literal(value: &Value) -> Option<Literal> {
    let text = value.as_str()?;
    Some(Literal { value: text.to_owned(), span: value.span()? })
}

/// The values in tables that may hold secrets.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if let Ok(document) = parse(text) {
        look(document.as_table(), false, 0, &mut found);
    }
    found
}

fn look(table: &dyn TableLike, is_secret: bool, depth: usize, found: &mut Vec<Range<usize>>) {
    for (name, item) in table.iter() {
        let is_secret = is_secret || holds_secrets(name);
        match item.as_table_like() {
            Some(inner) if depth < MAX_DEPTH => look(inner, is_secret, depth + 1, found),
            Some(_) => {}
            None if is_secret => found.extend(item.span()),
            None => {}
        }
    }
}
