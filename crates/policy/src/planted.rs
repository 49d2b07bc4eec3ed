//! A builtin that does not come back until it is released: a stand-in for whatever of the
//! interpreter's builtins cannot be interrupted and has not been found yet. Compiled with the feature
//! `planted-faults` only, which no part of the product turns on.

use std::path::Path;
use std::sync::Arc;

use regorus::{Engine, Value};

use crate::error::{LoadError, one_line};

/// `planted.spin(gate)` keeps its thread busy while the file at `gate` exists, then it is true.
pub(crate) const NAME: &str = "planted.spin";

/// How often it spins between two looks at the file.
const SPINS: u32 = 1 << 14;

pub(crate) fn add(engine: &mut Engine) -> Result<(), LoadError> {
    engine
        .add_extension(NAME.to_owned(), 1, Box::new(spin))
        .map_err(|error| LoadError::Evaluation(one_line(&error)))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of an extension")]
fn spin(arguments: Vec<Value>) -> anyhow::Result<Value> {
    let gate = arguments.first().and_then(|gate| gate.as_string().ok().map(Arc::clone));
    while gate.as_deref().is_some_and(|gate| Path::new(gate).exists()) {
        (0..SPINS).for_each(|_| std::hint::spin_loop());
    }
    Ok(Value::from(true))
}
