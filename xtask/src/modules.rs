//! Which file of a crate uses which other, read from the sources.
//!
//! A path that begins with `crate`, `super`, `self` or the name of a child module is followed to
//! the file that defines what it names, through re-exports. Declaring or re-exporting a module is
//! not using it; neither is anything under `#[cfg(test)]`. Arguments of macros are not looked into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// Segments below the root of the crate.
type ModulePath = Vec<String>;

/// The modules of a crate.
#[derive(Default)]
struct Modules(BTreeMap<ModulePath, Module>);

#[derive(Default)]
struct Module {
    file: PathBuf,
    /// Names that are defined here.
    defined: BTreeSet<String>,
    /// What each imported name refers to, and whether other modules may use the import.
    imports: Vec<Import>,
    /// Every other path that is written here.
    paths: Vec<Vec<String>>,
}

struct Import {
    name: String,
    path: Vec<String>,
    is_reexport: bool,
}

/// The circles of a crate: files each of which uses all the others, if only through them. Files are
/// relative to `source`; circles of one file are left out.
pub(crate) fn circles(source: &Path) -> Result<Vec<Vec<PathBuf>>> {
    let mut modules = Modules::default();
    for root in ["lib.rs", "main.rs"] {
        let file = source.join(root);
        if file.is_file() {
            modules.read(&file, source, &mut Vec::new())?;
        }
    }
    let mut graph = DiGraph::<&Path, ()>::new();
    let mut nodes = BTreeMap::new();
    for module in modules.0.values() {
        nodes.entry(module.file.as_path()).or_insert_with(|| graph.add_node(&module.file));
    }
    for (path, module) in &modules.0 {
        for used in module.used() {
            let Some(target) = modules.resolve(path, used, 0) else { continue };
            let (Some(from), Some(to)) = (nodes.get(module.file.as_path()), nodes.get(target))
            else {
                continue;
            };
            graph.update_edge(*from, *to, ());
        }
    }
    let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
    let relative = |file: &Path| file.strip_prefix(source).unwrap_or(file).to_owned();
    Ok(circles
        .map(|circle| {
            let mut files: Vec<_> = circle
                .into_iter()
                .filter_map(|node| graph.node_weight(node).map(|file| relative(file)))
                .collect();
            files.sort();
            files
        })
        .collect())
}

impl Module {
    /// Paths that are used here, rather than only handed on.
    fn used(&self) -> impl Iterator<Item = &[String]> {
        let firsts: BTreeSet<_> = self.paths.iter().filter_map(|path| path.first()).collect();
        let imports = self.imports.iter();
        let imports =
            imports.filter(move |import| !import.is_reexport || firsts.contains(&import.name));
        imports.map(|import| import.path.as_slice()).chain(self.paths.iter().map(Vec::as_slice))
    }
}

impl Modules {
    /// Reads a file as the module `path`, and the files of its child modules.
    fn read(&mut self, file: &Path, source: &Path, path: &mut ModulePath) -> Result<()> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("{} cannot be read", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("{} is not Rust", file.display()))?;
        self.add(&parsed.items, file, source, path)
    }

    fn add(
        &mut self,
        items: &[Item],
        file: &Path,
        source: &Path,
        path: &mut ModulePath,
    ) -> Result<()> {
        // A library and a program beside it share the root.
        let mut module = self.0.remove(path).unwrap_or_default();
        file.clone_into(&mut module.file);
        for item in items {
            if let Some(name) = name_of(item) {
                module.defined.insert(name);
            }
            match item {
                _ if is_test(attributes(item)) => {}
                Item::Use(import) => module.import(import),
                Item::Mod(child) => self.add_child(child, file, source, path)?,
                item => Paths(&mut module).visit_item(item),
            }
        }
        self.0.insert(path.clone(), module);
        Ok(())
    }

    fn add_child(
        &mut self,
        child: &ItemMod,
        file: &Path,
        source: &Path,
        path: &mut ModulePath,
    ) -> Result<()> {
        path.push(child.ident.to_string());
        let added = match &child.content {
            Some((_, items)) => self.add(items, file, source, path),
            None => {
                let folder: PathBuf = std::iter::once(source.to_owned())
                    .chain(path.iter().map(PathBuf::from))
                    .collect();
                let flat = folder.with_extension("rs");
                let nested = folder.join("mod.rs");
                let found = [flat, nested].into_iter().find(|file| file.is_file());
                // A module with a `#[path]` is found nowhere, and has no part in a circle.
                found.map_or(Ok(()), |file| self.read(&file, source, path))
            }
        };
        path.pop();
        added
    }

    /// The file that defines what `path` names, as written in the module `from`.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<&Path> {
        if depth > 16 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => from.get(..from.len().checked_sub(1)?)?.to_vec(),
            name => {
                let child = [from, &[name.to_owned()]].concat();
                self.0.get(&child)?;
                child
            }
        };
        while let Some((next, further)) = rest.split_first() {
            if next == "super" {
                at.pop()?;
            } else if self.0.contains_key(&[at.as_slice(), std::slice::from_ref(next)].concat()) {
                at.push(next.clone());
            } else {
                return self.item(&at, next, depth);
            }
            rest = further;
        }
        self.0.get(&at).map(|module| module.file.as_path())
    }

    /// The file that defines the item `name` of a module.
    fn item(&self, at: &[String], name: &str, depth: usize) -> Option<&Path> {
        let module = self.0.get(at)?;
        if !module.defined.contains(name) {
            let named = module.imports.iter().filter(|import| import.name == name);
            let all = module.imports.iter().filter(|import| import.name == "*");
            for import in named.chain(all) {
                let mut path = import.path.clone();
                if import.name == "*" {
                    path.push(name.to_owned());
                }
                if let Some(file) = self.resolve(at, &path, depth + 1) {
                    return Some(file);
                }
            }
        }
        Some(&module.file)
    }
}

impl Module {
    fn import(&mut self, import: &ItemUse) {
        let is_reexport = !matches!(import.vis, Visibility::Inherited);
        self.import_tree(&import.tree, &mut Vec::new(), is_reexport);
    }

    fn import_tree(&mut self, tree: &UseTree, prefix: &mut Vec<String>, is_reexport: bool) {
        let mut add = |name: String, last: Option<String>| {
            let path = prefix.iter().cloned().chain(last).collect();
            self.imports.push(Import { name, path, is_reexport });
        };
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import_tree(&path.tree, prefix, is_reexport);
                prefix.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                add(prefix.last().cloned().unwrap_or_default(), None);
            }
            UseTree::Name(name) => add(name.ident.to_string(), Some(name.ident.to_string())),
            UseTree::Rename(renamed) => {
                add(renamed.rename.to_string(), Some(renamed.ident.to_string()));
            }
            UseTree::Glob(_) => add("*".to_owned(), None),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import_tree(tree, prefix, is_reexport);
                }
            }
        }
    }
}

/// Collects the paths that are written in an item.
struct Paths<'a>(&'a mut Module);

impl Visit<'_> for Paths<'_> {
    fn visit_path(&mut self, path: &syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string());
        self.0.paths.push(segments.collect());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, import: &ItemUse) {
        self.0.import(import);
    }

    // `pub(super)` does not use the parent.
    fn visit_visibility(&mut self, _: &Visibility) {}
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        list.is_ok_and(|list| list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}
