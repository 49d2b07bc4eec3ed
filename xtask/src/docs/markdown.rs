//! The little of Markdown that the checks need.

use std::collections::BTreeSet;

/// The text without fenced blocks, indented blocks and code spans.
pub(super) fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            // Every second part is inside a code span.
            let outside = line.split('`').step_by(2);
            prose.push_str(&outside.collect::<Vec<_>>().join("`"));
            prose.push('\n');
        }
    }
    prose
}

/// Targets of links and images.
pub(super) fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The names by which headings can be linked, as GitHub makes them.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        });
        anchors.insert(kept.collect());
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_in_code_are_not_links() {
        let text = "[a](b.md) `[c](d.md)` [e](f.md#g)\n```\n[h](i.md)\n```\n    [j](k.md)\n";
        assert_eq!(links(text), ["b.md", "f.md#g"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# The `POST /kill` call\n```\n# no\n```\n## What's new, then?\n#no";
        assert_eq!(
            anchors(text).into_iter().collect::<Vec<_>>(),
            ["the-post-kill-call", "whats-new-then"]
        );
    }
}
