//! Rules must not refer to themselves, however indirectly: the interpreter would overflow its stack
//! and abort the process. A long chain of rules would do the same, so its length is limited too.

use std::collections::BTreeMap;

use crate::finding::{Finding, Lint};
use crate::interpreter::MAX_LEVELS as MAX_DEPTH;
use crate::syntax::depend::{Facts, Path};
use crate::syntax::{File, Span};

/// One rule, all its definitions together.
#[derive(Debug, Default)]
struct Node {
    uses: Vec<usize>,
    depth: usize,
    file: String,
    span: Span,
}

/// Refuses recursion, and chains that are too deep.
pub(crate) fn check(facts: &Facts<'_>, files: &[File]) -> Result<(), Finding> {
    let mut ids: BTreeMap<&Path, usize> = BTreeMap::new();
    let mut nodes: Vec<Node> = Vec::new();
    let names = facts.definitions.iter().map(|definition| &definition.path);
    for path in names.chain(facts.replacements.iter().map(|(from, _)| from)) {
        ids.entry(path).or_insert_with(|| {
            nodes.push(Node { depth: 1, ..Node::default() });
            nodes.len() - 1
        });
    }
    let keys = keys(facts, &ids);
    let related_to = |uses: &[Path]| -> Vec<usize> {
        uses.iter().flat_map(|path| related(&ids, &keys, path)).collect()
    };
    for definition in &facts.definitions {
        let node = ids.get(&definition.path).and_then(|id| nodes.get_mut(*id));
        if let Some(node) = node {
            node.uses.extend(related_to(&definition.uses));
            node.depth = node.depth.max(definition.depth);
            if node.file.is_empty() {
                node.file = definition.file.to_owned();
                node.span = definition.span;
            }
        }
    }
    for (from, to) in &facts.replacements {
        if let Some(node) = ids.get(from).and_then(|id| nodes.get_mut(*id)) {
            node.uses.extend(related_to(std::slice::from_ref(to)));
        }
    }
    for node in &mut nodes {
        node.uses.sort_unstable();
        node.uses.dedup();
    }
    let names: BTreeMap<usize, &Path> = ids.iter().map(|(path, id)| (*id, *path)).collect();
    Search { nodes: &nodes, files, names, state: vec![State::New; nodes.len()] }.run()
}

/// Rules by every path within their packages that leads to them.
fn keys<'a>(
    facts: &'a Facts<'_>,
    ids: &BTreeMap<&Path, usize>,
) -> BTreeMap<&'a [String], Vec<usize>> {
    let mut keys: BTreeMap<&[String], Vec<usize>> = BTreeMap::new();
    for definition in &facts.definitions {
        let prefixes = definition.package + 1..=definition.path.len();
        for prefix in prefixes.filter_map(|len| definition.path.get(..len)) {
            keys.entry(prefix).or_default().extend(ids.get(&definition.path));
        }
    }
    keys
}

/// Rules at `path`, above it and below it: evaluating a part of `data` evaluates all of them. Where
/// there are none, the interpreter evaluates all that have the longest part of the path in common.
fn related(
    ids: &BTreeMap<&Path, usize>,
    keys: &BTreeMap<&[String], Vec<usize>>,
    path: &Path,
) -> Vec<usize> {
    let mut found: Vec<usize> = ids
        .range::<Path, _>(path..)
        .take_while(|(name, _)| name.starts_with(path))
        .map(|(_, id)| *id)
        .collect();
    if found.is_empty() {
        let mut prefixes = (1..path.len()).rev().filter_map(|len| keys.get(path.get(..len)?));
        found.extend(prefixes.next().into_iter().flatten());
    }
    let above = (1..path.len()).filter_map(|len| ids.get(&path.get(..len)?.to_vec()));
    found.extend(above);
    found
}

#[derive(Debug, Clone, Copy)]
enum State {
    New,
    Open,
    /// With the greatest depth from here on.
    Done(usize),
}

/// A depth-first search with a stack of its own, since the graph may be a chain as long as a file.
struct Search<'a> {
    nodes: &'a [Node],
    files: &'a [File],
    names: BTreeMap<usize, &'a Path>,
    state: Vec<State>,
}

impl Search<'_> {
    fn run(mut self) -> Result<(), Finding> {
        for start in 0..self.nodes.len() {
            self.visit(start)?;
        }
        Ok(())
    }

    fn state(&self, id: usize) -> State {
        self.state.get(id).copied().unwrap_or(State::New)
    }

    fn set(&mut self, id: usize, state: State) {
        if let Some(slot) = self.state.get_mut(id) {
            *slot = state;
        }
    }

    fn visit(&mut self, start: usize) -> Result<(), Finding> {
        if !matches!(self.state(start), State::New) {
            return Ok(());
        }
        self.set(start, State::Open);
        // Each entry: the node, how many of its uses are done, and the depth below it so far.
        let mut open: Vec<(usize, usize, usize)> = vec![(start, 0, 0)];
        while let Some(&(id, done, below)) = open.last() {
            let Some(node) = self.nodes.get(id) else { break };
            let Some(next) = node.uses.get(done).copied() else {
                let depth = node.depth + below;
                if depth > MAX_DEPTH {
                    return Err(self.too_deep(id, node));
                }
                self.set(id, State::Done(depth));
                open.pop();
                continue;
            };
            let below = match self.state(next) {
                State::Open => return Err(self.recursion(&open, next)),
                State::Done(depth) => below.max(depth),
                State::New => {
                    self.set(next, State::Open);
                    open.push((next, 0, 0));
                    continue;
                }
            };
            if let Some(last) = open.last_mut() {
                *last = (id, done + 1, below);
            }
        }
        Ok(())
    }

    fn name(&self, id: usize) -> String {
        let path = self.names.get(&id).map(|path| path.as_slice()).unwrap_or_default();
        match path {
            [first, name] if first == "<builtin>" => format!("`{name}`"),
            path => format!("`data.{}`", path.join(".")),
        }
    }

    fn recursion(&self, open: &[(usize, usize, usize)], again: usize) -> Finding {
        let cycle = open.iter().map(|(id, ..)| *id).skip_while(|id| *id != again).chain([again]);
        let names: Vec<String> = cycle.map(|id| self.name(id)).collect();
        let message = format!("rules refer to themselves: {}", names.join(" → "));
        let finding = Finding::new(Lint::Recursion, message);
        match self.nodes.get(again) {
            Some(node) => finding.at(self.files, &node.file, node.span),
            None => finding,
        }
    }

    fn too_deep(&self, id: usize, node: &Node) -> Finding {
        let message = format!(
            "{} and the rules it refers to are nested more than {MAX_DEPTH} levels deep",
            self.name(id)
        );
        Finding::new(Lint::TooDeep, message).at(self.files, &node.file, node.span)
    }
}
