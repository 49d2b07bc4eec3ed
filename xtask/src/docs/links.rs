//! Links between pages, and the index of pages.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Page;
use super::markdown::{anchors, links};

const INDEX: &str = "docs/README.md";

/// Links to files or headings that do not exist.
pub(super) fn broken(pages: &[Page]) -> Vec<String> {
    let anchors: BTreeMap<_, _> =
        pages.iter().map(|page| (page.path.as_path(), anchors(&page.text))).collect();
    let mut broken = Vec::new();
    for page in pages {
        for link in links(&page.text) {
            let Some((target, anchor)) = local(&page.path, &link) else { continue };
            let at = page.path.display();
            if !target.exists() {
                broken.push(format!("{at}: `{link}` leads nowhere"));
            } else if let Some(known) = anchors.get(target.as_path())
                && let Some(anchor) = anchor
                && !known.contains(anchor)
            {
                broken.push(format!("{at}: `{link}` names a heading that is not there"));
            }
        }
    }
    broken
}

/// Pages in `docs` that the index does not list exactly once.
pub(super) fn unlisted(pages: &[Page]) -> Result<Vec<String>> {
    let index = pages.iter().find(|page| page.path == Path::new(INDEX));
    let index = index.with_context(|| format!("{INDEX} is missing"))?;
    let listed: Vec<_> = links(&index.text)
        .iter()
        .filter_map(|link| local(&index.path, link))
        .map(|(target, _)| target)
        .collect();
    let wrong = pages.iter().filter(|page| {
        let is_page = page.path.starts_with("docs") && page.path != index.path;
        is_page && listed.iter().filter(|path| **path == page.path).count() != 1
    });
    Ok(wrong.map(|page| format!("{INDEX} must list {} once", page.path.display())).collect())
}

/// The file and heading that a link of a page leads to, if it stays in the repository.
fn local<'a>(page: &Path, link: &'a str) -> Option<(PathBuf, Option<&'a str>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = match link.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (link, None),
    };
    if file.is_empty() {
        return Some((page.to_owned(), anchor));
    }
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some((path, anchor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_resolved_from_its_page() {
        let page = Path::new("docs/a.md");
        assert_eq!(local(page, "../b/c.md#d"), Some((PathBuf::from("b/c.md"), Some("d"))));
        assert_eq!(local(page, "#d"), Some((PathBuf::from("docs/a.md"), Some("d"))));
        assert_eq!(local(page, "https://example.com/a.md"), None);
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let page = |path: &str, text: &str| Page { path: path.into(), text: text.to_owned() };
        let pages = [
            page("Cargo.toml", "# There"),
            page("docs/a.md", "[x](../Cargo.toml#there) [y](../Cargo.toml#not) [z](none.md)"),
        ];
        let found = broken(&pages);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
