//! The documentation fits the repository: links lead somewhere, the index lists every page once, and
//! what pages quote or generate from the source is up to date.

mod generated;
mod links;
mod markdown;
mod quotes;
mod tests_named;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Folders that hold no pages of this repository.
const SKIPPED: &[&str] = &["target", "node_modules", "findings", "verifiers"];

/// A page, by its path from the root of the repository.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Checks all pages. With `write`, quoted and generated parts are rewritten first.
pub(crate) fn check(write: bool) -> Result<String> {
    let mut pages = pages()?;
    let mut wrong = Vec::new();
    for page in &mut pages {
        let fresh = generated::refresh(&quotes::refresh(page)?)?;
        if fresh == page.text {
            continue;
        }
        if write {
            fs::write(&page.path, &fresh)?;
            page.text = fresh;
        } else {
            wrong.push(format!(
                "{} is stale; `cargo xtask docs --write` rewrites it",
                page.path.display()
            ));
        }
    }
    wrong.extend(links::broken(&pages));
    wrong.extend(links::unlisted(&pages)?);
    wrong.extend(tests_named::missing(&pages)?);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n       "));
    }
    Ok(format!("docs: {} pages link, quote and list what is there", pages.len()))
}

fn pages() -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    read(Path::new("."), &mut pages).context("run this from the root of the repository")?;
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pages)
}

fn read(folder: &Path, pages: &mut Vec<Page>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !SKIPPED.iter().any(|skipped| name.starts_with(skipped)) {
                read(&path, pages)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            pages.push(Page { path: path.strip_prefix(".").unwrap_or(&path).to_owned(), text });
        }
    }
    Ok(())
}
