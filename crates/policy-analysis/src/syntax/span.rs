//! Places in the text of a policy.

use serde::Deserialize;

/// A place in a file: line and column from 1, and byte offsets.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Span {
    pub line: u32,
    pub col: u32,
    pub start: usize,
    pub end: usize,
}
