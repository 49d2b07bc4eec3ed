//! The requests that a piece of work was done for, when it was done for several at once.

use std::fmt;

use crate::SpanContext;

/// Spans that are kept; of further ones only the number.
const MAX: usize = 32;

/// The spans of the requests that one batch was made of. Without any it holds no memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    contexts: Vec<SpanContext>,
    further: usize,
}

impl Links {
    /// Adds the span of a request, if it has one.
    pub fn add(&mut self, context: Option<SpanContext>) {
        let Some(context) = context else { return };
        if self.contexts.len() < MAX {
            self.contexts.push(context);
        } else {
            self.further += 1;
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }
}

/// Each as `<trace id>:<span id>`, separated by spaces.
impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, context) in self.contexts.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{:032x}:{:016x}", context.trace_id(), context.span_id())?;
        }
        if self.further > 0 {
            write!(f, " and {} more", self.further)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_written_one_after_the_other_and_bounded() {
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let mut links = Links::default();
        links.add(None);
        assert!(links.is_empty());
        links.add(Some(context));
        assert_eq!(links.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7");
        (0..MAX + 1).for_each(|_| links.add(Some(context)));
        assert_eq!(links.to_string().split(' ').count(), MAX + 3);
        assert!(links.to_string().ends_with(" and 2 more"));
    }
}
