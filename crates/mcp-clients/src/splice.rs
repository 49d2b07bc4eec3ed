//! The edit itself: which bytes of an entry are replaced to govern it, and to undo that.
//!
//! The command moves behind ours in the list of arguments, as it was written. Where the list had
//! no items, the space after the last item says whether there was a list at all.

use std::ops::Range;

use crate::entry::{Args, Entry, Kind, Literal};
use crate::error::Error;

/// The command that governs a server, as it is written in front of the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// The path of this program.
    pub program: String,
    /// Options of `mcp wrap`, without the command of the server.
    pub options: Vec<String>,
}

impl Wrapper {
    /// Our arguments up to the command of the server.
    fn args(&self) -> impl Iterator<Item = &str> {
        let options = self.options.iter().map(String::as_str);
        ["mcp", "wrap"].into_iter().chain(options).chain(["--"])
    }
}

/// The index of the server's own command in the arguments of one that is governed.
pub(crate) fn inner(command: &str, args: &[Literal]) -> Option<usize> {
    let program = command.rsplit(['/', '\\']).next()?;
    let is_ours = program == "sentinel" || program == "sentinel.exe";
    let mut words = args.iter().map(|item| item.value.as_str());
    if !is_ours || words.next() != Some("mcp") || words.next() != Some("wrap") {
        return None;
    }
    let at = args.iter().position(|item| item.value == "--")? + 1;
    (at < args.len()).then_some(at)
}

/// A change of the text: these bytes are replaced.
pub(crate) type Edit = (Range<usize>, String);

/// What puts an entry behind `wrapper`.
pub(crate) fn govern(
    text: &str,
    entry: &Entry,
    wrapper: &Wrapper,
    is_yaml: bool,
) -> Result<Vec<Edit>, Error> {
    let Kind::Stdio { command, key, args } = &entry.kind else {
        return Err(Error::entry(&entry.name, "it is not a command that the client starts"));
    };
    let own = raw(text, command, &entry.name)?;
    let mut edits = vec![(command.span.clone(), quoted(&wrapper.program))];
    let (at, list) = match args {
        Args::Absent { before, after } => {
            let items = items(wrapper, in_brackets(own, &command.value, is_yaml));
            (*key, format!("{before}[{items}]{after}"))
        }
        Args::Flow { items: old, open, .. } => {
            let items = items(wrapper, in_brackets(own, &command.value, is_yaml));
            let next = text.get(*open..).and_then(|rest| rest.chars().next());
            let end = match (old.is_empty(), next) {
                (true, _) => " ",
                (false, Some('\n' | '\r')) => ",",
                (false, _) => ", ",
            };
            (*open, format!("{items}{end}"))
        }
        Args::Block { start, indent, .. } => {
            let newline = newline(text);
            let lines = wrapper.args().map(quoted).chain([own.to_owned()]);
            (*start, lines.map(|item| format!("{indent}- {item}{newline}")).collect())
        }
    };
    edits.push((at..at, list));
    Ok(edits)
}

/// What takes a governed entry out again.
pub(crate) fn ungovern(text: &str, entry: &Entry) -> Result<Vec<Edit>, Error> {
    let broken = |reason| Error::entry(&entry.name, reason);
    let Kind::Stdio { command, key, args } = &entry.kind else {
        return Err(broken("it is not a command that the client starts"));
    };
    let at = inner(&command.value, args.items()).ok_or_else(|| broken("it is not governed"))?;
    let own = args.items().get(at).ok_or_else(|| broken("it has no command"))?;
    let has_more = args.items().len() > at + 1;
    let restored = (command.span.clone(), raw(text, own, &entry.name)?.to_owned());
    let after = text.get(own.span.end..).unwrap_or_default();
    let removed = match args {
        Args::Absent { .. } => return Err(broken("it has no arguments")),
        Args::Block { start, .. } => *start..next_line(text, own.span.end),
        Args::Flow { open, .. } if has_more => *open..own.span.end + separator(after),
        Args::Flow { open, .. } if after.starts_with(' ') => *open..own.span.end + 1,
        Args::Flow { key: list, .. } if list < key && only_layout(text, own, *key) => *list..*key,
        Args::Flow { open, .. } => *open..own.span.end,
    };
    Ok(vec![restored, (removed, String::new())])
}

/// The comma after an item, and the one space that an edit writes after it.
fn separator(after: &str) -> usize {
    let Some(comma) = after.find(',') else { return 0 };
    match after.get(comma + 1..) {
        Some(rest) if rest.starts_with(' ') => comma + 2,
        _ => comma + 1,
    }
}

/// Whether there is nothing between the last item of a list and the name of the command but the end
/// of the list and layout.
fn only_layout(text: &str, last: &Literal, key: usize) -> bool {
    let between = text.get(last.span.end..key).unwrap_or("?");
    let line = between.rsplit('\n').next().unwrap_or_default();
    // In TOML, what is before the name in its line is the path of the table.
    let layout = between.strip_suffix(line).unwrap_or_default();
    let is_layout = |text: &str| text.chars().all(|c| c.is_whitespace() || matches!(c, ']' | ','));
    is_layout(layout) && (is_layout(line) || line.ends_with('.'))
}

fn next_line(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |end| from + end + 1)
}

fn items(wrapper: &Wrapper, own: String) -> String {
    wrapper.args().map(quoted).chain([own]).collect::<Vec<_>>().join(", ")
}

/// The command as it was written, unless it may not be written so within brackets.
fn in_brackets(raw: &str, value: &str, is_yaml: bool) -> String {
    let is_plain = !raw.starts_with(['"', '\'']);
    if is_yaml && is_plain && raw.contains([',', '[', ']', '{', '}']) {
        return quoted(value);
    }
    raw.to_owned()
}

fn raw<'a>(text: &'a str, literal: &Literal, server: &str) -> Result<&'a str, Error> {
    let raw = text.get(literal.span.clone());
    raw.ok_or_else(|| Error::entry(server, "its command cannot be found in the text"))
}

/// A string as JSON writes it, which TOML and YAML read alike.
pub(crate) fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

pub(crate) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The text with the edits made. They must not overlap.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        if out.is_char_boundary(range.start) && out.is_char_boundary(range.end) {
            out.replace_range(range, &new);
        }
    }
    out
}
