//! What bounds the time of the builtin functions. No time limit interrupts them, since the
//! interpreter looks at the clock only between steps: where neither the length of the arguments nor
//! a limit of the input bounds a call, the arguments have to be literals, or are looked at first,
//! or the function is refused.
//!
//! What is bounded by the square of a length can still exceed the limit of a decision. Such a call
//! is denied when that is over, and its thread returns.

mod table;

use std::collections::BTreeSet;

use self::table::TABLE;
use crate::syntax::Expr;
use crate::syntax::depend::{Call, Definition};

const MAX_RANGE: i64 = 10_000;
const MAX_SHIFT: i64 = 256;

/// What bounds the time of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Constant,
    /// The length of the arguments, which a limit of the input bounds, or that times its logarithm.
    Length,
    /// The square of that, or the product of the lengths of two arguments.
    Square,
    /// The length of the text that is parsed, once `interpreter/guard.rs` has looked at it.
    Guarded,
    /// Nothing but what the policy states itself.
    Literal(Demand),
}

/// What the policy has to state for a call to be bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// There is no bound: the function is refused.
    Nothing,
    Range,
    Step,
    Shift,
    Unit,
    /// The argument at this place is a literal string.
    Text(usize),
    /// A literal object of literal strings.
    Patterns,
    /// A literal object of options.
    Options,
    /// A literal array of literal objects.
    Operations,
    /// The schema at this place is a literal, or comes from data or a rule.
    Schema(usize),
}

fn bound(name: &str) -> Option<Bound> {
    let found = TABLE.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    TABLE.get(found).map(|(_, bound)| *bound)
}

/// Why a call of a builtin is refused.
pub(crate) fn refused(call: &Call<'_>, definitions: &[Definition<'_>]) -> Option<String> {
    let name = call.name.as_str();
    let Some(Bound::Literal(demand)) = bound(name) else { return None };
    let met = call.params.is_some_and(|params| demand.is_met(params, definitions));
    (!met).then(|| format!("`{name}` cannot be interrupted; it allows {}", demand.words()))
}

/// Why a builtin is refused that is not in the table: nothing is known of what bounds it.
pub(crate) fn unlisted(name: &str) -> Option<String> {
    let planted = cfg!(feature = "planted-faults") && name.starts_with("planted.");
    let listed = planted || bound(name).is_some();
    (!listed).then(|| format!("`{name}` cannot be interrupted, and nothing bounds it"))
}

impl Demand {
    fn is_met(self, params: &[Expr], definitions: &[Definition<'_>]) -> bool {
        match (self, params) {
            (Self::Nothing, _) => false,
            (Self::Range, [from, to]) => small_range(from, to),
            (Self::Step, [from, to, step]) => {
                small_range(from, to) && integer(step).is_some_and(|step| step > 0)
            }
            (Self::Shift, [_, shift]) => {
                integer(shift).is_some_and(|shift| (0..=MAX_SHIFT).contains(&shift))
            }
            (Self::Unit, [unit]) => small_unit(unit),
            (Self::Range | Self::Step | Self::Shift | Self::Unit, _) => false,
            (Self::Text(at), _) => params.get(at).is_some_and(is_text),
            (Self::Patterns, _) => params.first().is_some_and(|patterns| match patterns {
                Expr::Object { fields } => {
                    fields.iter().all(|(_, pattern, text)| is_text(pattern) && is_text(text))
                }
                _ => false,
            }),
            (Self::Options, _) => params.get(1).is_some_and(Expr::is_literal),
            (Self::Operations, _) => params.get(1).is_some_and(|operations| match operations {
                Expr::Array { items } => {
                    items.iter().all(|operation| matches!(operation, Expr::Object { .. }))
                }
                _ => false,
            }),
            (Self::Schema(at), _) => params
                .get(at)
                .is_some_and(|schema| schema.is_literal() || is_of_policy(schema, definitions)),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Nothing => "no use at all here".to_owned(),
            Self::Range | Self::Step => format!("at most {MAX_RANGE} apart, as literals"),
            Self::Shift => format!("a literal shift of at most {MAX_SHIFT}"),
            Self::Unit => "a literal without an exponent".to_owned(),
            Self::Text(at) => format!("a literal string only as its argument {}", at + 1),
            Self::Patterns => "a literal object of patterns and their replacements".to_owned(),
            Self::Options => "literal options only".to_owned(),
            Self::Operations => "a literal array of operations, `[{\"op\": …}, …]`".to_owned(),
            Self::Schema(_) => "a schema that is a literal, a rule or in `data`".to_owned(),
        }
    }
}

fn integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Number { value } => value.as_i64(),
        Expr::Unary { expr } => integer(expr)?.checked_neg(),
        _ => None,
    }
}

fn small_range(from: &Expr, to: &Expr) -> bool {
    integer(from)
        .zip(integer(to))
        .and_then(|(from, to)| to.checked_sub(from))
        .is_some_and(|span| span.checked_abs().is_some_and(|span| span <= MAX_RANGE))
}

fn small_unit(expr: &Expr) -> bool {
    let (Expr::String { value } | Expr::RawString { value }) = expr else { return false };
    // `1E` is an exa; `1E5` has an exponent.
    let exponent = value.to_ascii_lowercase().split_once('e').is_some_and(|(_, rest)| {
        rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
    });
    value.len() <= 32 && !exponent
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::String { .. } | Expr::RawString { .. })
}

/// Whether it is data, or a rule: what a call says is not part of it, unless a rule passes it on.
fn is_of_policy(expr: &Expr, definitions: &[Definition<'_>]) -> bool {
    let (Some(reference), _) = expr.reference() else { return false };
    let rules: BTreeSet<&str> =
        definitions.iter().filter_map(|rule| rule.path.last().map(String::as_str)).collect();
    reference.root == "data" || rules.contains(reference.root)
}

#[cfg(test)]
mod tests;
