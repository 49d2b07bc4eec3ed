//! What was promised beside what was measured.

use super::column;
use crate::report::{Column, Format, Row, Table};

const COLUMNS: &[Column] = &[
    column("measured", "measured", Format::Number(2)),
    column("bound", "bound", Format::Number(2)),
];

/// The bounds of the gateway, in the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Bounds(Vec<Bound>);

#[derive(Debug)]
struct Bound {
    label: &'static str,
    measured: Option<f64>,
    bound: f64,
    holds: bool,
}

impl Bounds {
    /// No more than `bound` is allowed.
    pub(super) fn at_most(&mut self, label: &'static str, measured: Option<f64>, bound: f64) {
        let holds = measured.is_some_and(|measured| measured <= bound);
        self.0.push(Bound { label, measured, bound, holds });
    }

    /// No less than `bound` is enough.
    pub(super) fn at_least(&mut self, label: &'static str, measured: Option<f64>, bound: f64) {
        let holds = measured.is_some_and(|measured| measured >= bound);
        self.0.push(Bound { label, measured, bound, holds });
    }

    pub(super) fn table(self) -> Table {
        let mut table = Table::new("bounds of the gateway", COLUMNS);
        for Bound { label, measured, bound, holds } in self.0 {
            let verdict = match (measured, holds) {
                (None, _) => "not measured",
                (_, true) => "met",
                (_, false) => "MISSED",
            };
            table.push(Row {
                label: label.to_owned(),
                figures: vec![measured, Some(bound)],
                remarks: vec![verdict.to_owned()],
                detail: verdict.into(),
            });
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_its_verdict() {
        let mut bounds = Bounds::default();
        bounds.at_most("memory", Some(81.0), 80.0);
        bounds.at_least("rate", Some(9000.0), 8000.0);
        bounds.at_least("peer", None, 50.0);
        let text = bounds.table().to_string();
        for line in ["memory: MISSED", "rate: met", "peer: not measured"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
