//! The stack that policy is evaluated on, and the guard that holds wherever it is.
//!
//! The interpreter recurses with the rules, with the nesting of expressions and with each loop that
//! is open, and a stack that overflows ends the whole process: no policy, candidate or input may do
//! that. Three things together see to it.
//!
//! 1. Vetting admits no recursion ([`crate::checks::graph`], by the names as the interpreter finds
//!    them), and bounds the nesting along every chain of rules, open loops included, to
//!    [`MAX_LEVELS`]. A level takes [`LEVEL`] at most, so that all of them take half of [`NEED`].
//! 2. What is evaluated is nested no deeper than its source allows: requests 32 levels, data 64
//!    (128 in YAML), what a builtin parses from text 128, and what `json.patch` makes
//!    [`MAX_NESTING`]. To compare, print or drop one level takes some hundred bytes.
//! 3. Whatever evaluates does so within [`guarded`], which looks at the stack that is left and
//!    moves to another one of [`STACK`] when there is less than [`NEED`]. Threads that evaluate
//!    often are started with [`STACK`], so that they never have to move.
//!
//! What evaluates, all of it through [`guarded`]: the rules that decide (`RuleValues::evaluate`),
//! for decisions, candidates of rollouts, the vetting process and replays; and in the workbench
//! `policy eval`, `--explain`, `policy test` and `policy bench`. Parsing and preparing are guarded
//! likewise ([`build`](super::build()) and [`prepare`](super::prepare)), wherever a policy is
//! loaded: the start, SIGHUP, the watch of a directory, the keeper of bundles, and rollouts.

/// Stack of threads that evaluate policy.
pub const STACK: usize = 8 * 1024 * 1024;
/// What an evaluation finds at least. Less than what a thread has by default, so that no thread
/// moves for each of its evaluations.
pub const NEED: usize = 1536 * 1024;
/// Greatest nesting along a chain of rules; see [`crate::checks::graph`].
pub(crate) const MAX_LEVELS: usize = 192;
/// What one level takes at most, in any build; up to 2 KiB where it was measured
/// (`tests/stack.rs`).
const LEVEL: usize = 4 * 1024;
/// Greatest nesting of what `json.patch` makes.
pub(super) const MAX_NESTING: usize = 256;

const _: () = assert!(MAX_LEVELS * LEVEL * 2 <= NEED && NEED < STACK);

/// Evaluates on a stack that has room for every policy that vetting admits.
pub fn guarded<T>(evaluate: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(NEED, STACK, evaluate)
}
