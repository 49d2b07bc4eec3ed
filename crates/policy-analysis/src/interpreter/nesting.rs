//! Bounds how deeply values are nested that builtins make of shallow ones. Only `json.patch` does
//! so without bound: by copying the whole into a part of itself, it nests as deeply as the changes
//! are long, and whatever then walks the value overflows the stack.

use regorus::{Engine, Value};

use super::error::InterpreterError;
use super::stack::MAX_NESTING;

const PATCH: &str = "json.patch";

/// Has the engine look at the arguments of `json.patch` before it evaluates it.
pub(super) fn bound(engine: &mut Engine) -> Result<(), InterpreterError> {
    let failed =
        |error: anyhow::Error| InterpreterError::new(&format!("cannot bound `{PATCH}`: {error:#}"));
    // An engine of its own has the builtin, which an extension hides.
    let mut inner = Engine::new();
    inner.add_policy("patch.rego".to_owned(), RULE.to_owned()).map_err(failed)?;
    let patch = move |arguments: Vec<Value>| {
        let deep = match arguments.as_slice() {
            [document, changes] => nesting(document, changes) > MAX_NESTING,
            _ => false,
        };
        if deep {
            let error = format!("`{PATCH}` would nest the value more than {MAX_NESTING} levels");
            return Err(std::io::Error::other(error).into());
        }
        inner.set_input(Value::from(arguments));
        inner.eval_rule("data.patch.patched".to_owned())
    };
    engine.add_extension(PATCH.to_owned(), 2, Box::new(patch)).map_err(failed)
}

const RULE: &str = "package patch\n\npatched := json.patch(input[0], input[1])\n";

/// How deeply the value may be nested in the end; more than it will be, as a rule.
fn nesting(document: &Value, changes: &Value) -> usize {
    let Ok(changes) = changes.as_array() else { return 0 };
    changes.iter().fold(depth(document), |deepest, change| {
        let field = |name: &str| change.as_object().ok()?.get(&Value::from(name));
        let path = field("path").map_or(0, steps);
        let moves = field("op").is_some_and(|op| {
            op.as_string().is_ok_and(|op| matches!(op.as_ref(), "copy" | "move"))
        });
        let value = field("value").map_or(0, depth);
        let below = if moves { deepest } else { value };
        deepest.max(path.saturating_add(below))
    })
}

fn steps(path: &Value) -> usize {
    match path {
        Value::String(text) => text.split('/').count(),
        Value::Array(steps) => steps.len(),
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Set(items) => items.iter().map(depth).max(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| depth(key).max(depth(value))).max()
        }
        _ => return 1,
    };
    1 + inner.unwrap_or(0)
}
