//! What commands print: for people by default, JSON for programs.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::failure::{OrFail as _, Outcome};

/// Writes `value` as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).or_fail(|| "cannot write JSON".to_owned())?;
    line(&escape_json(&text))
}

/// Whether the reader of standard output has gone away.
static READER_IS_GONE: AtomicBool = AtomicBool::new(false);

/// Writes one line to standard output. A reader that has gone away is not a failure: what the
/// command found out is in its exit status.
pub(crate) fn line(text: &str) -> Outcome {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// Writes bytes to standard output as they are; as [`line`].
pub(crate) fn bytes(bytes: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Whether nothing that is written to standard output can be read any more, so that output without
/// an end of its own can end.
pub(crate) fn reader_is_gone() -> bool {
    READER_IS_GONE.load(Ordering::Relaxed)
}

fn written(result: io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            READER_IS_GONE.store(true, Ordering::Relaxed);
            Ok(())
        }
        Err(error) => {
            Err(crate::failure::Failure::new(format!("cannot write the output: {error}")))
        }
    }
}

/// Writes one line to standard error. A failure is ignored: `eprintln!` would panic where standard
/// error is closed, and the exit status would not be that of the command.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A character that could move the cursor, hide text or break a line.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Text that came from elsewhere, made safe for a terminal and a line of a log.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// JSON in which the characters that JSON allows, but terminals act upon, are escaped. Such
/// characters occur only in strings, so the value stays the same.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    let escaped = |c: char| is_unsafe(c) && c != '\n';
    if json.is_ascii() && !json.contains('\u{7f}') || !json.chars().any(escaped) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether standard output takes colours.
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text in an ANSI style when standard output takes colours.
pub(crate) fn styled(style: &str, text: &str) -> String {
    if colours() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

pub(crate) const BOLD: &str = "1";
pub(crate) const DIM: &str = "2";
pub(crate) const RED: &str = "31";
pub(crate) const GREEN: &str = "32";

/// Rows under headings, each column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| heading.to_uppercase()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self, when_empty: &str) -> Outcome {
        if self.rows.len() == 1 {
            return line(when_empty);
        }
        self.render().lines().try_for_each(line)
    }

    fn render(&self) -> String {
        let rows: Vec<Vec<Cow<'_, str>>> =
            self.rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

/// A value as text; nothing for one that is absent.
pub(crate) fn shown(value: Option<&impl Display>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// Names and values below one another, the values aligned.
pub(crate) fn fields(pairs: &[(&str, String)]) -> Outcome {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let shown = pairs.iter().filter(|(_, value)| !value.is_empty());
    shown
        .into_iter()
        .try_for_each(|(name, value)| line(&format!("  {name:width$}  {}", printable(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_cannot_be_broken_by_a_cell() {
        let mut table = Table::new(&["tool", "owner"]);
        table.row(vec!["a".into(), "x\n\x1b[31mb".into()]);
        table.row(vec!["longer".into(), "y\u{202e}".into()]);
        assert_eq!(table.render(), "TOOL    OWNER\na       x\\n\\u{1b}[31mb\nlonger  y\\u{202e}\n");
    }

    #[test]
    fn escaped_json_has_the_same_value_and_nothing_a_terminal_acts_upon() {
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\u{2028}\u{7f}é\u{1f600}\n"});
        let text = value.to_string();
        let escaped = escape_json(&text);
        assert!(escaped.chars().all(|c| !is_unsafe(c)), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
