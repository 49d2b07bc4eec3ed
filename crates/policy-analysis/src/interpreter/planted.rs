//! Builtins that only tests have: they take the place of any builtin of the interpreter that cannot
//! be interrupted or panics, and has not been found yet. Compiled with the feature `planted-faults`
//! only, which no part of the product turns on.

use std::path::Path;
use std::sync::Arc;

use regorus::{Engine, Value};

use super::error::InterpreterError;

/// `planted.spin(gate)` keeps its thread busy while the file at `gate` exists, then it is true.
pub(super) const SPIN: &str = "planted.spin";
/// `planted.panic(x)` panics.
const PANIC: &str = "planted.panic";

/// How often it spins between two looks at the file.
const SPINS: u32 = 1 << 14;

pub(super) fn add(engine: &mut Engine) -> Result<(), InterpreterError> {
    let failed = |error: anyhow::Error| InterpreterError::new(&error);
    engine.add_extension(SPIN.to_owned(), 1, Box::new(spin)).map_err(failed)?;
    engine.add_extension(PANIC.to_owned(), 1, Box::new(|_| panics())).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of an extension")]
fn spin(arguments: Vec<Value>) -> anyhow::Result<Value> {
    let gate = arguments.first().and_then(|gate| gate.as_string().ok().map(Arc::clone));
    while gate.as_deref().is_some_and(|gate| Path::new(gate).exists()) {
        (0..SPINS).for_each(|_| std::hint::spin_loop());
    }
    Ok(Value::from(true))
}

fn panics<T>() -> T {
    std::panic::resume_unwind(Box::new("planted"))
}
