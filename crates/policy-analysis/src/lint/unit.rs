//! Texts of amounts with a unit whose numbers are written the same here and in OPA: a fraction of
//! the smallest unit has ten digits behind the point in OPA.

use crate::lint::scope::call;
use crate::syntax::Expr;

/// A call whose number is the same to count with, but another text.
pub(super) fn is_written_otherwise(expr: &Expr) -> bool {
    match call(expr) {
        Some((name, [Expr::String { value } | Expr::RawString { value }, ..])) => {
            matches!(name.as_str(), "units.parse" | "units.parse_bytes") && !is_same(value)
        }
        _ => false,
    }
}

/// Whether an amount is a whole number of the smallest unit, or has no value at all.
fn is_same(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = text.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
    let (number, suffix) = text.split_at(end);
    if suffix == "m" {
        return false;
    }
    let Some((_, fraction)) = number.split_once('.') else { return true };
    // The powers of ten that the unit has at least.
    let power = match suffix.chars().next().map(|c| c.to_ascii_lowercase()) {
        Some('k') => 3,
        Some('m') => 6,
        Some('g') => 9,
        Some('t') => 12,
        Some('p') => 15,
        Some('e') => 18,
        _ => 0,
    };
    let digits = fraction.trim_end_matches('0');
    match suffix.chars().nth(1) {
        // A half, a quarter and three quarters of a power of two.
        Some('i' | 'I') => power > 0 && matches!(digits, "" | "5" | "25" | "75"),
        _ => digits.len() <= power,
    }
}
