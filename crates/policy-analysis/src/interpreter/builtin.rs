//! Which builtins the interpreter has.

use regorus::Engine;

/// Whether the interpreter has a builtin of a name. It does not list its functions, but it says
/// when it knows none of that name.
pub(crate) fn is_builtin(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if !name.chars().all(plain) {
        return false;
    }
    #[cfg(feature = "planted-faults")]
    if name == super::planted::SPIN {
        return true;
    }
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    match engine.eval_query(format!("{name}()"), false) {
        Ok(_) => true,
        Err(error) => !error.to_string().contains("could not find function"),
    }
}
