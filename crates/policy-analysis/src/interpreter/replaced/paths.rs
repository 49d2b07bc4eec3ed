//! `json.filter` and `json.remove`: a path that leads into what has no parts leaves it as it is.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

use super::function::{Outcome, Unsupported};

/// Segments of all paths together.
const MAX_SEGMENTS: usize = 10_000;

/// The paths as a tree.
enum Paths {
    /// A path ends here.
    End,
    Inner(BTreeMap<Value, Paths>),
}

pub(super) fn filter(args: &[Value]) -> Outcome {
    let (object, paths) = read("json.filter", args)?;
    Ok(kept(object, &paths))
}

pub(super) fn remove(args: &[Value]) -> Outcome {
    let (object, paths) = read("json.remove", args)?;
    Ok(without(object, Some(&paths)).unwrap_or_else(|| object.clone()))
}

fn read<'v>(name: &'static str, args: &'v [Value]) -> Result<(&'v Value, Paths), Unsupported> {
    let (Some(object @ Value::Object(_)), Some(list)) = (args.first(), args.get(1)) else {
        return Err(Unsupported::argument(name));
    };
    let paths: Option<Vec<Vec<Value>>> = match list {
        Value::Array(items) => items.iter().map(segments).collect(),
        Value::Set(items) => items.iter().map(segments).collect(),
        _ => None,
    };
    let paths = paths.ok_or_else(|| Unsupported::argument(name))?;
    if paths.iter().map(Vec::len).sum::<usize>() > MAX_SEGMENTS {
        return Err(Unsupported::new(name, "the paths are too long"));
    }
    let mut root = BTreeMap::new();
    paths.into_iter().for_each(|path| add(&mut root, path));
    Ok((object, Paths::Inner(root)))
}

/// `a/b`, or an array of keys.
fn segments(path: &Value) -> Option<Vec<Value>> {
    match path {
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        Value::String(text) => {
            let parts = text.trim_start_matches('/').split('/');
            Some(
                parts.map(|part| Value::from(part.replace("~1", "/").replace("~0", "~"))).collect(),
            )
        }
        Value::Array(items) => Some(items.iter().cloned().collect()),
        _ => None,
    }
}

/// A path that goes on where another has ended adds nothing; one that ends where another goes on
/// takes its place.
fn add(root: &mut BTreeMap<Value, Paths>, path: Vec<Value>) {
    let mut segments = path.into_iter();
    let Some(mut segment) = segments.next() else { return };
    let mut at = root;
    for next in segments {
        match at.entry(segment).or_insert_with(|| Paths::Inner(BTreeMap::new())) {
            Paths::End => return,
            Paths::Inner(inner) => at = inner,
        }
        segment = next;
    }
    at.insert(segment, Paths::End);
}

fn below(paths: &BTreeMap<Value, Paths>, index: usize) -> Option<&Paths> {
    paths.get(&Value::from(index.to_string()))
}

/// What the paths lead to. As deep as the value, which is bounded.
fn kept(value: &Value, paths: &Paths) -> Value {
    let Paths::Inner(paths) = paths else { return value.clone() };
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter_map(|(key, inner)| Some((key.clone(), kept(inner, paths.get(key)?))));
            Value::from(fields.collect::<BTreeMap<_, _>>())
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.filter_map(|(index, item)| Some(kept(item, below(paths, index)?)));
            Value::from(items.collect::<Vec<_>>())
        }
        Value::Set(items) => {
            let items = items.iter().filter_map(|item| Some(kept(item, paths.get(item)?)));
            Value::from(items.collect::<BTreeSet<_>>())
        }
        other => other.clone(),
    }
}

/// What the paths do not lead to; `None` of what a path ends at.
fn without(value: &Value, paths: Option<&Paths>) -> Option<Value> {
    let paths = match paths {
        None => return Some(value.clone()),
        Some(Paths::End) => return None,
        Some(Paths::Inner(paths)) => paths,
    };
    Some(match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter_map(|(key, inner)| Some((key.clone(), without(inner, paths.get(key))?)));
            Value::from(fields.collect::<BTreeMap<_, _>>())
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.filter_map(|(index, item)| without(item, below(paths, index)));
            Value::from(items.collect::<Vec<_>>())
        }
        Value::Set(items) => {
            let items = items.iter().filter_map(|item| without(item, paths.get(item)));
            Value::from(items.collect::<BTreeSet<_>>())
        }
        other => other.clone(),
    })
}
