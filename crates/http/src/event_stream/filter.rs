//! Which events a subscriber wants.

use sentinel_core::event::Event;
use sentinel_ingress::problem::Problem;

/// Patterns that one subscriber may give.
const MAX_PATTERNS: usize = 32;

/// Which events are wanted, by name.
#[derive(Debug, Clone)]
pub(crate) struct TypeFilter(Option<Vec<&'static str>>);

impl TypeFilter {
    /// Reads `kill_switch.*,policy.check.deny`. A pattern that no event has is refused: a
    /// subscriber that misspells a kill must not wait for it in vain.
    pub(crate) fn parse(types: Option<&str>) -> Result<Self, Problem> {
        let Some(types) = types else { return Ok(Self(None)) };
        let patterns: Vec<_> = types.split(',').map(str::trim).collect();
        let mut names = Vec::new();
        if patterns.len() > MAX_PATTERNS {
            return Err(Problem::bad_request("invalid_query", "`types` has too many patterns"));
        }
        for pattern in patterns {
            let prefix = pattern.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
            let known = Event::NAMES.iter().filter(|name| match prefix {
                Some(prefix) => name.starts_with(prefix),
                None => **name == pattern,
            });
            let before = names.len();
            names.extend(known);
            if names.len() == before {
                let detail = format!(
                    "`types` has a pattern that fits no event; events are: {}",
                    Event::NAMES.join(", "),
                );
                return Err(Problem::bad_request("invalid_query", detail));
            }
        }
        Ok(Self(Some(names)))
    }

    /// Whether the subscriber hears of kills.
    pub(super) fn admits_kills(&self) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(&"kill_switch.disabled"))
    }

    pub(super) fn admits(&self, event: &Event) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(&event.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(types: &str) -> Option<Vec<&'static str>> {
        TypeFilter::parse(Some(types)).ok().and_then(|filter| filter.0)
    }

    #[test]
    fn patterns_match_names() {
        let kills = vec!["kill_switch.disabled", "kill_switch.restored"];
        assert_eq!(names("kill_switch.*"), Some(kills));
        assert_eq!(
            names("policy.check.deny, provenance.signed"),
            Some(vec!["policy.check.deny", "provenance.signed"])
        );
        assert_eq!(names("policy.check.*").map(|names| names.len()), Some(2));
        assert_eq!(names("policy.*").map(|names| names.len()), Some(9));
        assert!(TypeFilter::parse(None).unwrap().0.is_none());
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_refused() {
        for types in [
            "",
            "*",
            "kill_switch",
            "kill_switch.disable",
            "kill*",
            "policy.check.deny,",
            "KILL_SWITCH.*",
        ] {
            assert!(names(types).is_none(), "{types}");
        }
        assert!(names(&["registry.*"; MAX_PATTERNS + 1].join(",")).is_none());
    }
}
