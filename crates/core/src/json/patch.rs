//! JSON Patch (RFC 6902), without `move` and `copy`.

use serde::Deserialize;
use serde_json::Value;

/// One operation. `path` is a JSON pointer into what is patched.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum PatchOperation {
    Add {
        path: String,
        value: Value,
    },
    Replace {
        path: String,
        value: Value,
    },
    Remove {
        path: String,
    },
    /// Refuses the patch when something else is there.
    Test {
        path: String,
        value: Value,
    },
}

/// Which operation cannot be carried out, counted from 0, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation {index} of the patch: {why}")]
pub struct PatchError {
    pub index: usize,
    why: &'static str,
}

const ABSENT: &str = "there is nothing at its path";

/// Carries out all operations, or none.
///
/// # Errors
/// When one of them does not fit.
pub fn patched(target: &Value, operations: &[PatchOperation]) -> Result<Value, PatchError> {
    let mut patched = target.clone();
    for (index, operation) in operations.iter().enumerate() {
        apply(&mut patched, operation).map_err(|why| PatchError { index, why })?;
    }
    Ok(patched)
}

fn apply(target: &mut Value, operation: &PatchOperation) -> Result<(), &'static str> {
    match operation {
        PatchOperation::Test { path, value } => match target.pointer(path) {
            Some(found) if found == value => Ok(()),
            _ => Err("what it tests for is not there"),
        },
        PatchOperation::Replace { path, value } => {
            *target.pointer_mut(path).ok_or(ABSENT)? = value.clone();
            Ok(())
        }
        PatchOperation::Add { path, value } => add(target, path, value.clone()),
        PatchOperation::Remove { path } => {
            let (parent, name) = parent(target, path)?;
            match parent {
                Value::Object(object) => object.remove(&name).map(drop).ok_or(ABSENT),
                Value::Array(items) => {
                    let index = index(&name).filter(|index| *index < items.len()).ok_or(ABSENT)?;
                    items.remove(index);
                    Ok(())
                }
                _ => Err(ABSENT),
            }
        }
    }
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), &'static str> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, name) = parent(target, path)?;
    match parent {
        Value::Object(object) => {
            object.insert(name, value);
            Ok(())
        }
        Value::Array(items) => {
            let index = if name == "-" { Some(items.len()) } else { index(&name) };
            let index = index.filter(|index| *index <= items.len());
            items.insert(index.ok_or("its index is outside the array")?, value);
            Ok(())
        }
        _ => Err("its path leads into neither an object nor an array"),
    }
}

/// The value that contains `path`, and the name or index of `path` in it.
fn parent<'v>(target: &'v mut Value, path: &str) -> Result<(&'v mut Value, String), &'static str> {
    let (above, name) =
        path.rsplit_once('/').ok_or("its path is not a JSON pointer below the root")?;
    let name = name.replace("~1", "/").replace("~0", "~");
    Ok((target.pointer_mut(above).ok_or(ABSENT)?, name))
}

fn index(name: &str) -> Option<usize> {
    let plain = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(target: &Value, operations: Value) -> Result<Value, String> {
        let operations: Vec<PatchOperation> =
            serde_json::from_value(operations).map_err(|error| error.to_string())?;
        patched(target, &operations).map_err(|error| error.to_string())
    }

    #[test]
    fn operations_change_objects_and_arrays() {
        let target = json!({"a": [1, 2], "b": {"c/d": 3}});
        let done = patch(
            &target,
            json!([
                {"op": "test", "path": "/a/0", "value": 1},
                {"op": "add", "path": "/a/1", "value": 9},
                {"op": "add", "path": "/a/-", "value": 8},
                {"op": "remove", "path": "/a/0"},
                {"op": "replace", "path": "/b/c~1d", "value": null},
                {"op": "add", "path": "/b/new", "value": {}},
                {"op": "remove", "path": "/b/c~1d"},
            ]),
        );
        assert_eq!(done, Ok(json!({"a": [9, 2, 8], "b": {"new": {}}})));
        assert_eq!(patch(&target, json!([{"op": "add", "path": "", "value": 1}])), Ok(json!(1)));
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let target = json!({"a": [1], "s": "text"});
        for operation in [
            json!({"op": "remove", "path": "/b"}),
            json!({"op": "remove", "path": "/a/1"}),
            json!({"op": "remove", "path": "/a/00"}),
            json!({"op": "remove", "path": ""}),
            json!({"op": "replace", "path": "/b", "value": 1}),
            json!({"op": "add", "path": "/a/2", "value": 1}),
            json!({"op": "add", "path": "/s/x", "value": 1}),
            json!({"op": "add", "path": "/x/y", "value": 1}),
            json!({"op": "add", "path": "x", "value": 1}),
            json!({"op": "test", "path": "/s", "value": "other"}),
            json!({"op": "move", "from": "/s", "path": "/t"}),
            json!({"op": "add", "path": "/x"}),
        ] {
            let patched = patch(&target, json!([{"op": "remove", "path": "/s"}, operation]));
            assert!(patched.is_err(), "{operation}");
        }
    }
}
