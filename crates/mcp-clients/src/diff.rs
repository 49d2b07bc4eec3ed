//! What an edit changes, for a person to look at.

use similar::TextDiff;

use crate::format::Format;

/// The lines that an edit changes, as a unified diff. Values of environment variables and headers
/// are left out: a diff is shown on screens and kept in logs.
#[must_use]
pub fn diff(format: Format, old: &str, new: &str) -> String {
    let (old, new) = (format.masked(old), format.masked(new));
    let diff = TextDiff::from_lines(&old, &new);
    diff.unified_diff().context_radius(2).missing_newline_hint(false).to_string()
}
