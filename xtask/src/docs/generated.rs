//! Parts of pages that are generated from this program: `<!-- generated: crates -->` is followed by
//! the graph of crates, up to `<!-- end: crates -->`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::edges;

const BEGIN: &str = "<!-- generated: crates -->\n";
const END: &str = "<!-- end: crates -->";

/// The page with its graph as the list of allowed edges has it.
pub(super) fn refresh(text: &str) -> Result<String> {
    let Some((before, rest)) = text.split_once(BEGIN) else { return Ok(text.to_owned()) };
    let (_, after) = rest.split_once(END).context("a generated part has no end")?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", graph()))
}

/// The crates of the product as a diagram. An arrow that follows from others is left out, and so are
/// the crates of tests and tools.
fn graph() -> String {
    let product: Vec<_> =
        edges::ALLOWED.iter().filter(|(name, _)| !edges::BESIDE.contains(name)).copied().collect();
    let mut graph = "```mermaid\nflowchart TD\n".to_owned();
    for (name, depends_on) in &product {
        let _ = writeln!(graph, "  {name}[{}]", short(name));
        for to in *depends_on {
            let others = depends_on.iter().filter(|other| *other != to);
            if !others.into_iter().any(|other| reaches(other, to)) {
                let _ = writeln!(graph, "  {name} --> {to}");
            }
        }
    }
    graph.push_str("```\n\n| crate | may depend on |\n|---|---|\n");
    for (name, depends_on) in &product {
        let names: Vec<_> = depends_on.iter().map(|to| format!("`{}`", short(to))).collect();
        let names = if names.is_empty() { "no crate".to_owned() } else { names.join(", ") };
        let _ = writeln!(graph, "| `{}` | {names} |", short(name));
    }
    graph
}

fn short(name: &str) -> &str {
    name.strip_prefix("sentinel-").unwrap_or(name)
}

/// Whether `from` depends on `to`, if only through others.
fn reaches(from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        let Some((_, depends_on)) = edges::ALLOWED.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        if depends_on.contains(&to) {
            return true;
        }
        open.extend(depends_on.iter().filter(|name| seen.insert(**name)));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_replaces_what_was_there_and_nothing_else() {
        let page = format!("above\n{BEGIN}old\n{END}\nbelow\n");
        let fresh = refresh(&page).unwrap();
        assert!(fresh.starts_with("above\n") && fresh.ends_with("\nbelow\n"), "{fresh}");
        assert!(!fresh.contains("old") && fresh.contains("sentinel-service --> sentinel-core"));
        assert_eq!(refresh(&fresh).unwrap(), fresh);
    }

    #[test]
    fn an_arrow_that_follows_from_others_is_left_out() {
        assert!(reaches("sentinel", "sentinel-core"));
        assert!(!graph().contains("sentinel --> sentinel-core"));
    }
}
