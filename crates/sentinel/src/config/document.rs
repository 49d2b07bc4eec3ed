//! The text of a configuration: which fields it has, and in which lines.

use std::collections::BTreeMap;

use yaml_rust2::Event;
use yaml_rust2::parser::{MarkedEventReceiver, Parser};
use yaml_rust2::scanner::Marker;

/// Two names that differ by more are not taken for one that was mistyped.
const MAX_DISTANCE: usize = 4;

/// A text is not YAML.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub(super) struct YamlError {
    line: usize,
    column: usize,
    why: String,
}

/// The fields of a YAML document, each with the lines in which it is given.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) fields: BTreeMap<String, Vec<usize>>,
    depth: usize,
    /// Whether what comes next at the top is a name.
    expects_name: bool,
}

impl Document {
    /// Reads the names at the top level.
    ///
    /// # Errors
    /// When the text is not YAML.
    pub(super) fn read(text: &str) -> Result<Self, YamlError> {
        let mut document = Self::default();
        Parser::new_from_str(text).load(&mut document, true).map_err(|error| {
            let place = error.marker();
            YamlError { line: place.line(), column: place.col() + 1, why: error.info().to_owned() }
        })?;
        Ok(document)
    }
}

impl MarkedEventReceiver for Document {
    fn on_event(&mut self, event: Event, at: Marker) {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                self.depth += 1;
                // A name that is not a text is refused by the loader.
                self.expects_name = self.depth == 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.depth = self.depth.saturating_sub(1);
                self.expects_name = self.depth == 1;
            }
            Event::Scalar(text, ..) if self.depth == 1 => {
                if self.expects_name {
                    self.fields.entry(text).or_default().push(at.line());
                }
                self.expects_name = !self.expects_name;
            }
            Event::Alias(_) if self.depth == 1 => self.expects_name = !self.expects_name,
            _ => {}
        }
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let distances =
        known.into_iter().map(|other| (strsim::damerau_levenshtein(&name, other), other));
    // Most other names are near to a short one.
    let most = (name.chars().count() / 3).clamp(1, MAX_DISTANCE);
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_lines() {
        let text =
            "# a\nlisten: x\n\nlists: [a, {b: c}]\nmap:\n  inner: 1\n? other\n: y\nlisten: z\n";
        let document = Document::read(text).unwrap();
        let fields: Vec<_> =
            document.fields.iter().map(|(name, lines)| (name.as_str(), lines.clone())).collect();
        let expected =
            [("lists", vec![4]), ("listen", vec![2, 9]), ("map", vec![5]), ("other", vec![7])];
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(fields, expected);
        assert!(Document::read("").unwrap().fields.is_empty());
        assert!(Document::read("a: [\n").unwrap_err().to_string().starts_with("line "));
    }

    #[test]
    fn the_nearest_name_is_one_that_may_have_been_meant() {
        let known = ["listen", "log_level", "max_waiting", "opa_url", "replicas"];
        for (name, meant) in [
            ("listn", Some("listen")),
            ("LISTEN", Some("listen")),
            ("lsiten", Some("listen")),
            ("loglevel", Some("log_level")),
            ("log-level", Some("log_level")),
            ("max_wating", Some("max_waiting")),
            ("opaurl", Some("opa_url")),
            ("port", None),
            ("service_host", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
