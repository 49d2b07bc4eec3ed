//! Where each field of a configuration was given.

use std::collections::BTreeMap;
use std::fmt;

/// Of each field that was given, the line of the file or the variable.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(BTreeMap<String, Place>);

/// Where a value is from.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A line of the file.
    Line(usize),
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Variable(name) => write!(f, "the variable `{name}`"),
        }
    }
}

impl Places {
    pub(super) fn add(&mut self, field: &str, place: Place) {
        self.0.insert(field.to_owned(), place);
    }

    /// Where the field was given.
    pub(super) fn of(&self, field: &str) -> Option<&Place> {
        self.0.get(field)
    }

    /// The text of a problem, after the place of the first given field that it names in backticks:
    /// `field`, or `field: value`.
    pub(super) fn before(&self, problem: &str) -> String {
        // Every other part is between backticks.
        let quoted = problem.split('`').skip(1).step_by(2);
        let fields = quoted.map(|text| text.split(':').next().unwrap_or_default());
        match fields.filter_map(|field| self.of(field)).next() {
            Some(place) => format!("{place}: {problem}"),
            None => problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_placed_where_its_field_was_given() {
        let mut places = Places::default();
        places.add("listen", Place::Line(3));
        places.add("log_level", Place::Variable("SENTINEL_LOG_LEVEL".to_owned()));
        for (problem, placed) in [
            ("`listen: 1.2.3.4:1` needs `allowed_hosts`", "line 3: `listen: 1.2.3.4:1` needs"),
            ("`loud` of `log_level`", "the variable `SENTINEL_LOG_LEVEL`: `loud` of"),
            ("`allowed_hosts` is not set", "`allowed_hosts` is not set"),
            ("listen, without backticks", "listen, without"),
        ] {
            let found = places.before(problem);
            assert!(found.starts_with(placed), "{found}");
        }
    }
}
