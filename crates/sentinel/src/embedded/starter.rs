//! The starter policy, and its list of allowed tools.

use std::io;
use std::path::Path;

use serde_json::json;

use super::place::Place;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::parts::private_file::write_private;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../policies/starter"]
struct Starter;

/// Bytes of the longest list that is edited.
const MAX_LIST: usize = 1024 * 1024;
/// The line under which allowed tools are listed.
const TOOLS: &str = "tools:";

/// Writes the policy and the list, each file only when it is absent: what is there is the user's.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn materialise(place: &Place) -> Outcome {
    let dir = place.data_dir().policies();
    for name in Starter::iter() {
        let Some(file) = Starter::get(&name) else { continue };
        let path = dir.join(&*name);
        let failed = || format!("cannot write `{}`", path.display());
        if path.try_exists().or_fail(failed)? {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).or_fail(failed)?;
        }
        write_private(&path, &file.data).or_fail(failed)?;
    }
    tell_place(place)
}

/// Tells the policy where the list is, so that a denial can name the file.
fn tell_place(place: &Place) -> Outcome {
    let path = place.told();
    let failed = || format!("cannot write `{}`", path.display());
    let told = json!({ "file": place.allowed() }).to_string();
    if std::fs::read_to_string(&path).is_ok_and(|present| present == told) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).or_fail(failed)?;
    }
    write_private(&path, told.as_bytes()).or_fail(failed)
}

/// Puts a tool on the list; `false` when it is there already.
///
/// # Errors
/// When the list cannot be read, is laid out in a way that is not understood, or cannot be written.
pub(crate) fn allow(place: &Place, tool: &str) -> Outcome<bool> {
    let path = place.allowed();
    let text = read_list(&path)?;
    let Some(text) = with_tool(&text, tool) else {
        return Err(Failure::new(format!("`{}` has no line `{TOOLS}`", path.display()))
            .help(format!("add the line `  - {tool}` under `{TOOLS}` yourself")));
    };
    let Edited::Changed(text) = text else { return Ok(false) };
    write_private(&path, text.as_bytes())
        .or_fail(|| format!("cannot write `{}`", path.display()))?;
    Ok(true)
}

fn read_list(path: &Path) -> Outcome<String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(format!("there is no list `{}` yet", path.display()))
                .help("`sentinel mcp wrap --embedded` makes it when it is first used"));
        }
        _ => {}
    }
    crate::files::read_text(path, MAX_LIST)
}

#[derive(Debug, PartialEq, Eq)]
enum Edited {
    Present,
    Changed(String),
}

/// The list with one more tool, after those that are there; `None` when it has no such list.
fn with_tool(text: &str, tool: &str) -> Option<Edited> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let heading = lines.iter().position(|line| line.trim_end() == TOOLS)?;
    let under = lines.iter().skip(heading + 1);
    let is_part = |line: &&&str| {
        let line = line.trim();
        line.is_empty() || line.starts_with(['#', '-'])
    };
    let items: Vec<&&str> = under.take_while(is_part).collect();
    let is_item = |line: &&&str| line.trim_start().starts_with('-');
    if items.iter().any(|line| item(line) == Some(tool)) {
        return Some(Edited::Present);
    }
    let after = items.iter().rposition(&is_item).map_or(0, |last| last + 1);
    // A list may be indented or not, but all its items alike.
    let first = items.iter().find(|line| is_item(line));
    let indent = first.map_or("  ", |line| line.split('-').next().unwrap_or_default());
    let new = format!("{indent}- {tool}\n");
    let ends_line = lines.get(heading + after).is_some_and(|line| line.ends_with('\n'));
    let new = if ends_line { new } else { format!("\n{new}") };
    lines.insert(heading + 1 + after, &new);
    Some(Edited::Changed(lines.concat()))
}

/// The tool of a line of the list.
fn item(line: &str) -> Option<&str> {
    let item = line.trim().strip_prefix('-')?.trim();
    let item = item.split(" #").next().unwrap_or_default().trim();
    Some(item.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, tool: &str) -> String {
        match with_tool(text, tool) {
            Some(Edited::Changed(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_tool_is_added_after_those_that_are_there() {
        assert_eq!(changed("tools:\nnever:\n", "a"), "tools:\n  - a\nnever:\n");
        assert_eq!(changed("tools:", "a"), "tools:\n  - a\n");
        assert_eq!(
            changed("# x\ntools:\n- b # why\n# - c\n\nnever:\n- d\n", "a"),
            "# x\ntools:\n- b # why\n- a\n# - c\n\nnever:\n- d\n"
        );
        assert_eq!(with_tool("tools:\n  - \"a\" # why\n", "a"), Some(Edited::Present));
        assert_eq!(with_tool("tools: []\n", "a"), None);
        // On the other list it is not allowed.
        assert_eq!(changed("never:\n  - a\ntools:\n", "a"), "never:\n  - a\ntools:\n  - a\n");
    }

    #[test]
    fn the_shipped_list_can_be_added_to() {
        let list = Starter::get("allow/data.yaml").unwrap();
        let list = std::str::from_utf8(&list.data).unwrap();
        let once = changed(list, "fs__write");
        assert!(once.contains("tools:\n  - fs__write\n  #"), "{once}");
        assert_eq!(with_tool(&once, "fs__write"), Some(Edited::Present));
    }
}
