//! YAML: block and flow style, as far as a line can be edited by itself.

use std::ops::Range;

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

use super::{MAX_DEPTH, Shape, URLS, holds_secrets, line_start};
use crate::entry::{Args, Entry, Kind, Literal};
use crate::error::Error;
use crate::splice::newline;

/// A value, and where it begins in bytes.
#[derive(Debug)]
struct Node {
    at: usize,
    kind: NodeKind,
}

#[derive(Debug)]
enum NodeKind {
    Scalar(String, TScalarStyle),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// A reference to another value: not followed.
    Alias,
}

pub(super) fn entries(shape: &Shape, text: &str) -> Result<Vec<Entry>, Error> {
    let Some(root) = parse(text)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for path in shape.servers {
        let mut node = Some(&root);
        for name in *path {
            node = node.and_then(|node| node.get(name));
        }
        match node.map(|node| &node.kind) {
            Some(NodeKind::Map(servers)) => found.extend(servers.iter().map(|(name, server)| {
                entry(shape, text, name.text().unwrap_or_default().to_owned(), server)
            })),
            Some(NodeKind::List(servers)) => found.extend(listed(shape, text, servers)?),
            _ => {}
        }
    }
    Ok(found)
}

/// Servers that say their names themselves. One that is taken from elsewhere has the name that it
/// has there.
fn listed(shape: &Shape, text: &str, servers: &[Node]) -> Result<Vec<Entry>, Error> {
    let mut found: Vec<Entry> = Vec::with_capacity(servers.len());
    for server in servers {
        let name = ["name", "uses"].into_iter().find_map(|key| server.get(key)?.text());
        let name = name.unwrap_or_default().to_owned();
        // An edit of one by its name must not be an edit of the other.
        if found.iter().any(|other| other.name == name) {
            return Err(Error::Duplicate { name });
        }
        found.push(entry(shape, text, name, server));
    }
    Ok(found)
}

fn syntax(detail: &str) -> Error {
    Error::Syntax { format: "YAML", detail: detail.to_owned() }
}

/// The first document. Built without recursion, so that no nesting can exhaust the stack.
fn parse(text: &str) -> Result<Option<Node>, Error> {
    let offsets = offsets(text);
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<(usize, bool, Vec<Node>)> = Vec::new();
    loop {
        let (event, mark) = parser.next_token().map_err(|error| syntax(&error.to_string()))?;
        let at = offsets.get(mark.index()).copied().unwrap_or(text.len());
        let node = match event {
            Event::StreamEnd | Event::DocumentEnd => return Ok(None),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == MAX_DEPTH {
                    return Err(syntax("it is nested too deeply"));
                }
                open.push((at, matches!(event, Event::MappingStart(..)), Vec::new()));
                continue;
            }
            Event::Scalar(value, style, ..) => Node { at, kind: NodeKind::Scalar(value, style) },
            Event::Alias(_) => Node { at, kind: NodeKind::Alias },
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((at, is_map, items)) => closed(at, is_map, items)?,
                None => return Err(syntax("it ends too early")),
            },
            _ => continue,
        };
        match open.last_mut() {
            Some((.., items)) => items.push(node),
            None => return Ok(Some(node)),
        }
    }
}

/// The byte at which each character begins.
fn offsets(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).collect()
}

fn closed(at: usize, is_map: bool, items: Vec<Node>) -> Result<Node, Error> {
    if !is_map {
        return Ok(Node { at, kind: NodeKind::List(items) });
    }
    let mut pairs: Vec<(Node, Node)> = Vec::new();
    let mut items = items.into_iter();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        if let Some(text) = name.text()
            && pairs.iter().any(|(other, _)| other.text() == Some(text))
        {
            return Err(Error::Duplicate { name: text.to_owned() });
        }
        pairs.push((name, value));
    }
    Ok(Node { at, kind: NodeKind::Map(pairs) })
}

impl Node {
    fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    fn pair(&self, name: &str) -> Option<&(Node, Node)> {
        match &self.kind {
            NodeKind::Map(pairs) => pairs.iter().find(|(key, _)| key.text() == Some(name)),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Node> {
        self.pair(name).map(|(_, value)| value)
    }
}

fn entry(shape: &Shape, text: &str, name: String, server: &Node) -> Entry {
    let is_disabled = server.get("enabled").and_then(Node::text) == Some("false");
    let kind = match server.pair(shape.command) {
        Some(command) => stdio(shape, text, server, command),
        None => elsewhere(server),
    };
    Entry { scope: None, name, is_disabled, kind }
}

fn elsewhere(server: &Node) -> Kind {
    let text = |name: &str| server.get(name).and_then(Node::text).map(str::to_owned);
    match URLS.into_iter().find_map(text) {
        Some(url) => Kind::Remote(url),
        None => Kind::Other(text("type").unwrap_or_default()),
    }
}

fn stdio(shape: &Shape, text: &str, server: &Node, (name, command): &(Node, Node)) -> Kind {
    let Some(program) = literal(text, command) else {
        return Kind::Broken("its command is not a string in one line");
    };
    let args = match server.pair(shape.args) {
        None => absent(shape, text, server, name.at),
        Some((key, list)) => list_of(text, key, list),
    };
    match args {
        Some(args) => Kind::Stdio { command: program, key: name.at, args },
        None => Kind::Broken("its arguments are not a list of strings of one line each"),
    }
}

fn absent(shape: &Shape, text: &str, server: &Node, key: usize) -> Option<Args> {
    let before = format!("{}: ", shape.args);
    if text.get(server.at..)?.starts_with('{') {
        return Some(Args::Absent { before, after: ", ".to_owned() });
    }
    // The first member of an item of a list is behind the dash of the item.
    let indent = line_start(text, key);
    let is_indent = indent.chars().all(|c| matches!(c, ' ' | '-'));
    let next = indent.replace('-', " ");
    is_indent.then(|| Args::Absent { before, after: format!("{}{next}", newline(text)) })
}

fn list_of(text: &str, key: &Node, list: &Node) -> Option<Args> {
    let NodeKind::List(nodes) = &list.kind else { return None };
    let items = nodes.iter().map(|node| literal(text, node)).collect::<Option<Vec<_>>>()?;
    if text.get(list.at..)?.starts_with('[') {
        return Some(Args::Flow { items, open: list.at + 1, key: key.at });
    }
    // Where a block begins, the parser says in two ways; its first item is found in one.
    let first = nodes.first()?.at;
    let line = line_start(text, first);
    let indent = line.trim_end().strip_suffix('-')?;
    let is_indent = indent.chars().all(|c| c == ' ');
    let start = first - line.len();
    is_indent.then(|| Args::Block { items, start, indent: indent.to_owned() })
}

/// A scalar that is written in one line, and says what its value is.
fn literal(text: &str, node: &Node) -> Option<Literal> {
    let NodeKind::Scalar(value, style) = &node.kind else { return None };
    let rest = text.get(node.at..)?;
    let line = rest.split(['\n', '\r']).next()?;
    let length = match style {
        TScalarStyle::Plain => line.starts_with(value.as_str()).then_some(value.len())?,
        TScalarStyle::SingleQuoted => quoted_length(line, '\'')?,
        TScalarStyle::DoubleQuoted => quoted_length(line, '"')?,
        TScalarStyle::Literal | TScalarStyle::Folded => return None,
    };
    let is_same = *style == TScalarStyle::Plain || length >= value.len();
    is_same.then(|| Literal { value: value.clone(), span: node.at..node.at + length })
}

/// Bytes of a quoted scalar at the beginning of `line`.
fn quoted_length(line: &str, quote: char) -> Option<usize> {
    let mut chars = line.char_indices().skip(1).peekable();
    line.starts_with(quote).then_some(())?;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The values in maps that may hold secrets.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if let Ok(Some(root)) = parse(text) {
        look(text, &root, false, &mut found);
    }
    found
}

fn look(text: &str, node: &Node, is_secret: bool, found: &mut Vec<Range<usize>>) {
    match &node.kind {
        NodeKind::Map(pairs) => {
            for (name, value) in pairs {
                let is_secret = is_secret || name.text().is_some_and(holds_secrets);
                look(text, value, is_secret, found);
            }
        }
        NodeKind::List(items) => items.iter().for_each(|item| look(text, item, is_secret, found)),
        NodeKind::Scalar(..) if is_secret => {
            // One of several lines is left out to the end of its first line, at least.
            let line = text.get(node.at..).and_then(|rest| rest.split('\n').next());
            let whole = node.at..node.at + line.map_or(0, str::len);
            found.push(literal(text, node).map_or(whole, |literal| literal.span));
        }
        _ => {}
    }
}
