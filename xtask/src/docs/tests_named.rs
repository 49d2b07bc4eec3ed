//! Tests that pages name: each exists.
//!
//! In a table whose last column is headed `tests`, every code span of that column is the name of a
//! test.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Page;

/// Where tests are.
const SOURCES: &str = "crates";
const HEADING: &str = "tests";

/// Names of tests that no source file has.
pub(super) fn missing(pages: &[Page]) -> Result<Vec<String>> {
    let mut tests = HashSet::new();
    collect(Path::new(SOURCES), &mut tests)?;
    let mut missing = Vec::new();
    for page in pages {
        for name in named(&page.text) {
            if !tests.contains(name) {
                missing.push(format!("{}: there is no test `{name}`", page.path.display()));
            }
        }
    }
    Ok(missing)
}

fn collect(folder: &Path, tests: &mut HashSet<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(defined(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// Names of functions.
fn defined(source: &str) -> impl Iterator<Item = String> {
    let functions = source.lines().filter_map(|line| line.split_once("fn "));
    functions.filter_map(|(_, rest)| Some(rest.split_once('(')?.0.to_owned()))
}

/// The code spans in the columns of tests of a page.
fn named(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        let last = line.strip_suffix('|').and_then(|row| row.rsplit_once('|'));
        let Some((_, last)) = last else {
            inside = false;
            continue;
        };
        if last.trim() == HEADING {
            inside = true;
        } else if inside {
            names.extend(last.split('`').skip(1).step_by(2));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_columns_of_tests_only() {
        let page = "| a | tests |\n|---|---|\n| `x` | `one`, `two` |\n\n| b |\n|---|\n| `y` |\n";
        assert_eq!(named(page), ["one", "two"]);
    }

    #[test]
    fn a_function_is_found_with_its_whole_name() {
        let source = "#[test]\nfn one_two() {\n    pub async fn three(a: u8) {}\n";
        assert_eq!(defined(source).collect::<Vec<_>>(), ["one_two", "three"]);
    }
}
