//! `object.subset`.

use regorus::Value;

use super::function::{Outcome, Unsupported};

/// Comparisons of members of arrays.
const MAX_WORK: usize = 10_000_000;

pub(super) fn subset(args: &[Value]) -> Outcome {
    let (Some(wide), Some(narrow)) = (args.first(), args.get(1)) else {
        return Err(Unsupported::argument("object.subset"));
    };
    let found = match (wide, narrow) {
        // A member of the array counts as often as it is there, as in OPA.
        (Value::Array(wide), Value::Set(narrow)) => {
            let matched = wide.iter().filter(|item| narrow.contains(item)).count();
            wide.iter().next().is_some() && matched >= narrow.len()
        }
        _ if is_pair(wide, narrow) => {
            let mut work = 0;
            contains(wide, narrow, &mut work)
                .ok_or_else(|| Unsupported::new("object.subset", "the arrays are too long"))?
        }
        _ => return Err(Unsupported::argument("object.subset")),
    };
    Ok(Value::from(found))
}

fn is_pair(wide: &Value, narrow: &Value) -> bool {
    matches!(
        (wide, narrow),
        (Value::Object(_), Value::Object(_))
            | (Value::Set(_), Value::Set(_))
            | (Value::Array(_), Value::Array(_))
    )
}

/// `None` when it takes too long. As deep as the values, which are bounded.
fn contains(wide: &Value, narrow: &Value, work: &mut usize) -> Option<bool> {
    match (wide, narrow) {
        (Value::Object(wide), Value::Object(narrow)) => {
            for (key, inner) in narrow.iter() {
                let Some(outer) = wide.get(key) else { return Some(false) };
                if outer != inner && !(is_pair(outer, inner) && contains(outer, inner, work)?) {
                    return Some(false);
                }
            }
            Some(true)
        }
        (Value::Set(wide), Value::Set(narrow)) => {
            Some(narrow.iter().all(|item| wide.contains(item)))
        }
        (Value::Array(wide), Value::Array(narrow)) => {
            let (wide, narrow) = (wide.as_slice(), narrow.as_slice());
            *work = work.saturating_add(wide.len().saturating_mul(narrow.len()));
            if *work > MAX_WORK {
                return None;
            }
            // OPA goes on behind the place where it has begun to compare, and so do windows.
            Some(narrow.is_empty() || wide.windows(narrow.len()).any(|part| part == narrow))
        }
        _ => Some(false),
    }
}
