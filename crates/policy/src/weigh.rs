//! Whether what a policy answers may depend on `input.usage`, as its text shows.

use regorus::Engine;

use crate::ast;
use crate::build::Shape;
use crate::depend;

/// `false` when the text shows that no answer states a window by the usage: it does not read it, or
/// has the seed's shape, which knows the day only.
pub(crate) fn weighs_usage(engine: &Engine, shape: Shape) -> bool {
    if matches!(shape, Shape::Seed { .. }) {
        return false;
    }
    let Ok(files) = ast::files(engine) else { return true };
    let read = depend::collect(&files).input;
    read.other || read.fields.contains("usage")
}
