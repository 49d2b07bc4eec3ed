//! Parts of source files that pages quote, so that what a page shows is what the tests compile.
//!
//! `<!-- quote: FILE: START -->` precedes a fenced block. The block has the lines of `FILE` from
//! the first one that begins with `START` to the `}` that closes it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::Page;

const MARK: &str = "<!-- quote: ";

/// The page with each quoted block as its source file has it.
pub(super) fn refresh(page: &Page) -> Result<String> {
    let mut fresh = String::new();
    let mut lines = page.text.lines();
    while let Some(line) = lines.next() {
        fresh.push_str(line);
        fresh.push('\n');
        let Some(source) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let at = || format!("the quote of `{source}` in {}", page.path.display());
        let fence = lines.next().with_context(at)?;
        if !fence.starts_with("```") {
            bail!("{} is not followed by a fenced block", at());
        }
        let _ = lines.by_ref().find(|line| *line == "```").with_context(at)?;
        for line in [fence, &quoted(source).with_context(at)?, "```"] {
            fresh.push_str(line);
            fresh.push('\n');
        }
    }
    Ok(fresh)
}

/// The lines that `FILE: START` names, without their indentation and the last line break.
fn quoted(source: &str) -> Result<String> {
    let (file, start) = source.split_once(": ").context("a quote names `FILE: START`")?;
    let text = fs::read_to_string(Path::new(file)).with_context(|| format!("no file `{file}`"))?;
    block(&text, start).with_context(|| format!("`{file}` has no block `{start}`"))
}

fn block(text: &str, start: &str) -> Option<String> {
    let lines: Vec<_> =
        text.lines().skip_while(|line| !line.trim_start().starts_with(start)).collect();
    let first = lines.first()?;
    let indent = first.len() - first.trim_start().len();
    let cut = |line: &&str| line.get(indent..).unwrap_or("").to_owned();
    let end = lines.iter().position(|line| cut(line).starts_with('}'))?;
    let block: Vec<_> = lines.iter().take(end + 1).map(cut).collect();
    Some(block.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_with_its_brace_and_loses_its_indentation() {
        let text = "mod a {\n    /// Two.\n    fn two() {\n        if x {\n        }\n    }\n}\n";
        assert_eq!(
            block(text, "/// Two.").as_deref(),
            Some("/// Two.\nfn two() {\n    if x {\n    }\n}")
        );
        assert_eq!(block(text, "fn three"), None);
    }
}
