//! The size of crates, files, traits and circles of files, so that each can be understood as a
//! whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use syn::{Item, TraitItem};

use crate::modules;

/// The largest share of one crate in all lines under `crates/*/src`, in percent.
const CRATE_SHARE: usize = 15;
/// The most lines of a source file.
const FILE_LINES: usize = 500;
/// The most files of a crate that use each other in a circle.
const CIRCLE: usize = 8;
/// The most methods of a trait of `core`, where the ports are.
const PORT_METHODS: usize = 12;

struct Crate {
    name: String,
    source: PathBuf,
    files: Vec<(PathBuf, String)>,
}

impl Crate {
    fn lines(&self) -> usize {
        self.files.iter().map(|(_, text)| text.lines().count()).sum()
    }
}

/// Measures every crate under `crates`.
pub(crate) fn check() -> Result<String> {
    let crates = crates(Path::new("crates"))?;
    let lines: usize = crates.iter().map(Crate::lines).sum();
    let mut wrong = Vec::new();
    for each in &crates {
        let (name, own) = (&each.name, each.lines());
        if own * 100 > lines * CRATE_SHARE {
            let percent = own * 100 / lines;
            wrong.push(format!(
                "`{name}` has {own} lines, {percent} % of all; at most {CRATE_SHARE} % are allowed"
            ));
        }
        for (file, text) in &each.files {
            let count = text.lines().count();
            if count > FILE_LINES {
                let file = file.display();
                wrong.push(format!("{file} has {count} lines; at most {FILE_LINES} are allowed"));
            }
            wrong.extend(ports(file, text)?);
        }
        for circle in modules::circles(&each.source)? {
            if circle.len() > CIRCLE {
                let files: Vec<_> = circle.iter().map(|file| file.display().to_string()).collect();
                wrong.push(format!(
                    "{} files of `{name}` use each other in a circle; at most {CIRCLE} may: {}",
                    files.len(),
                    files.join(", ")
                ));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n       "));
    }
    Ok(format!("layout: {lines} lines in {} crates are within the limits", crates.len()))
}

/// Traits of `core` that have too many methods.
fn ports(file: &Path, text: &str) -> Result<Vec<String>> {
    if !file.components().any(|part| part.as_os_str() == "core") {
        return Ok(Vec::new());
    }
    let parsed =
        syn::parse_file(text).with_context(|| format!("{} is not Rust", file.display()))?;
    let traits = parsed.items.iter().filter_map(|item| match item {
        Item::Trait(port) => Some(port),
        _ => None,
    });
    let too_many = traits.filter_map(|port| {
        let methods = port.items.iter().filter(|item| matches!(item, TraitItem::Fn(_))).count();
        let (file, name) = (file.display(), &port.ident);
        (methods > PORT_METHODS).then(|| {
            format!("{file}: `{name}` has {methods} methods; at most {PORT_METHODS} are allowed")
        })
    });
    Ok(too_many.collect())
}

fn crates(folder: &Path) -> Result<Vec<Crate>> {
    let mut crates = Vec::new();
    for entry in fs::read_dir(folder).context("run this from the root of the repository")? {
        let entry = entry?;
        let source = entry.path().join("src");
        if source.is_dir() {
            let mut files = Vec::new();
            read(&source, &mut files)?;
            crates.push(Crate { name: entry.file_name().display().to_string(), source, files });
        }
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

fn read(folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            files.push((path, text));
        }
    }
    Ok(())
}
