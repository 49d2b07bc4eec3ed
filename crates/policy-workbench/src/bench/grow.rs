//! Data with more entries than the policy has, none of which an input asks for.

use std::collections::BTreeSet;

use regorus::Value;

/// Every text in the inputs.
type Texts = BTreeSet<String>;

/// Entries that a collection gets.
pub(super) const ADDED: usize = 1000;
/// Collections at one place, such as one for each tenant, that get them.
const MOST: usize = 50;
/// How deep collections are looked for.
const DEPTH: usize = 3;
/// Values at one level that are looked at for collections in them.
const LOOKED_AT: usize = 100;

/// All collections at one place: `data.allowlist`, or each value of it.
#[derive(Debug)]
pub(super) struct Collection {
    key: Value,
    /// Levels below.
    depth: usize,
}

/// The places with collections, the outer ones first.
pub(super) fn collections(data: &Value) -> Vec<Collection> {
    let Ok(top) = data.as_object() else { return Vec::new() };
    let deep = top.iter_sorted().map(|(key, value)| (key, depth(value)));
    deep.flat_map(|(key, most)| (0..most).map(|depth| Collection { key: key.clone(), depth }))
        .collect()
}

/// Levels of collections, at most [`DEPTH`]. What makes a record and what a collection is not
/// known: both are objects.
fn depth(value: &Value) -> usize {
    fn below(value: &Value, left: usize) -> usize {
        if left == 0 || entries(value) == 0 {
            return 0;
        }
        let inner = value.as_object().ok().and_then(|fields| {
            fields.values().take(LOOKED_AT).map(|value| below(value, left - 1)).max()
        });
        1 + inner.unwrap_or(0)
    }
    below(value, DEPTH)
}

fn entries(value: &Value) -> usize {
    let array = value.as_array().map(|items| items.len()).unwrap_or(0);
    value.as_object().map_or(array, |fields| fields.len())
}

impl Collection {
    /// `data.allowlist[_]`.
    pub(super) fn name(&self) -> String {
        let key = self.key.as_string().map_or_else(|_| self.key.to_string(), |key| key.to_string());
        format!("data.{key}{}", "[_]".repeat(self.depth))
    }

    /// The data with entries added here; `None` when there is nothing to add to.
    pub(super) fn grown(&self, data: &Value, asked: &Texts) -> Option<Value> {
        let mut data = data.clone();
        let here = data.as_object().ok()?.get(&self.key)?;
        let more = grown(here, self.depth, asked)?;
        data.as_object_mut().ok()?.insert(self.key.clone(), more);
        Some(data)
    }
}

fn grown(value: &Value, depth: usize, asked: &Texts) -> Option<Value> {
    if depth == 0 {
        return with_entries(value);
    }
    let fields = value.as_object().ok()?;
    let is_asked = |key: &Value| key.as_string().is_ok_and(|text| asked.contains(text.as_ref()));
    // What an input leads to comes first: the rest may be too much.
    let (first, rest): (Vec<_>, Vec<_>) = fields.iter_sorted().partition(|(key, _)| is_asked(key));
    let mut copy = value.clone();
    let into = copy.as_object_mut().ok()?;
    let mut any = false;
    for (key, value) in first.into_iter().chain(rest).take(MOST) {
        if let Some(more) = grown(value, depth - 1, asked) {
            into.insert(key.clone(), more);
            any = true;
        }
    }
    any.then_some(copy)
}

fn with_entries(value: &Value) -> Option<Value> {
    let mut copy = value.clone();
    let name = |number: usize| Value::from(format!("sentinel-bench-{number}"));
    if let Ok(fields) = copy.as_object_mut() {
        let model = fields.values().next()?.clone();
        (0..ADDED).for_each(|number| drop(fields.insert(name(number), model.clone())));
    } else {
        let items = copy.as_array_mut().ok()?;
        let model = items.first()?.clone();
        // Texts must differ from what is there; of other things, one more is as good.
        let is_text = model.as_string().is_ok();
        items.extend((0..ADDED).map(|n| if is_text { name(n) } else { model.clone() }));
    }
    Some(copy)
}

/// Every text in the inputs.
pub(super) fn texts(inputs: &[serde_json::Value]) -> Texts {
    fn collect(value: &serde_json::Value, found: &mut Texts) {
        match value {
            serde_json::Value::String(text) => drop(found.insert(text.clone())),
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            serde_json::Value::Object(fields) => {
                fields.values().for_each(|value| collect(value, found));
            }
            _ => {}
        }
    }
    let mut found = Texts::new();
    inputs.iter().for_each(|input| collect(input, &mut found));
    found
}
