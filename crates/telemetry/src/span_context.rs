//! The position of a request in a trace, as W3C Trace Context writes it in the header
//! `traceparent`: `00-<trace id>-<span id>-<flags>`, in lower-case hexadecimal digits.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

/// Name of the header that carries a [`SpanContext`].
pub const TRACEPARENT: &str = "traceparent";

/// Bytes of version 00, which later versions may only extend.
const LENGTH: usize = 55;
/// Longest header of a later version that is read, in bytes.
const MAX_LENGTH: usize = 256;
/// The flags that are defined: the trace is sampled, and its id is random. Others are dropped, as
/// the specification demands.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;

/// A span of a trace. It is small and `Copy`, so it travels with work by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanContext {
    trace_id: NonZeroU128,
    span_id: NonZeroU64,
    flags: u8,
}

impl SpanContext {
    /// A span; flags that are not defined are dropped.
    #[must_use]
    pub const fn new(trace_id: NonZeroU128, span_id: NonZeroU64, flags: u8) -> Self {
        Self { trace_id, span_id, flags: flags & KNOWN_FLAGS }
    }

    #[must_use]
    pub const fn trace_id(self) -> NonZeroU128 {
        self.trace_id
    }

    #[must_use]
    pub const fn span_id(self) -> NonZeroU64 {
        self.span_id
    }

    /// Whether the caller records its part of the trace.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The header's value, of version 00.
impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, flags } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// Why a `traceparent` was not read. A request with such a header is served without a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceparentError {
    #[error("`traceparent` is not 55 bytes long, or longer than 256 in a later version")]
    Length,
    #[error("`traceparent` has a version that does not exist")]
    Version,
    #[error("`traceparent` is not made of lower-case hexadecimal fields between hyphens")]
    Form,
    #[error("`traceparent` has an id that is zero")]
    ZeroId,
}

impl FromStr for SpanContext {
    type Err = TraceparentError;

    /// Reads version 00 exactly, and of a later version what it has in common with 00.
    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        let (known, extension) = text.split_at_checked(LENGTH).ok_or(TraceparentError::Length)?;
        let mut fields = known.split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits);
            field.and_then(hexadecimal).ok_or(TraceparentError::Form)
        };
        let (version, trace_id) = (field(2)?, field(32)?);
        let (span_id, flags) = (field(16)?, field(2)?);
        match version {
            0 if extension.is_empty() => {}
            0 => return Err(TraceparentError::Length),
            0xff => return Err(TraceparentError::Version),
            _ if text.len() > MAX_LENGTH => return Err(TraceparentError::Length),
            _ if !extension.is_empty() && !extension.starts_with('-') => {
                return Err(TraceparentError::Form);
            }
            _ => {}
        }
        let span_id = u64::try_from(span_id).map_err(|_| TraceparentError::Form)?;
        let flags = u8::try_from(flags).map_err(|_| TraceparentError::Form)?;
        let trace_id = NonZeroU128::new(trace_id).ok_or(TraceparentError::ZeroId)?;
        let span_id = NonZeroU64::new(span_id).ok_or(TraceparentError::ZeroId)?;
        Ok(Self::new(trace_id, span_id, flags))
    }
}

/// The value of at most 32 lower-case digits.
fn hexadecimal(digits: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.bytes().all(is_digit).then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(text: &str) -> Result<SpanContext, TraceparentError> {
        text.parse()
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let context = parse(EXAMPLE).unwrap();
        assert_eq!(context.trace_id().get(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span_id().get(), 0x00f0_67aa_0ba9_02b7);
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        assert_eq!(parse(&later), parse(EXAMPLE));
        assert_eq!(parse(&format!("{later}-what-is-new")), parse(EXAMPLE));
        assert_eq!(parse(&format!("{later}.new")), Err(TraceparentError::Form));
        let long = format!("{later}-{}", "a".repeat(MAX_LENGTH));
        assert_eq!(parse(&long), Err(TraceparentError::Length));
    }

    #[test]
    fn flags_that_are_not_defined_are_dropped() {
        let context = parse(&EXAMPLE.replace("-01", "-ff")).unwrap();
        assert!(context.to_string().ends_with("-03"), "{context}");
    }

    #[test]
    fn anything_else_is_refused() {
        use TraceparentError::{Form, Length, Version, ZeroId};
        let cases = [
            (String::new(), Length),
            (EXAMPLE[..54].to_owned(), Length),
            (format!("{EXAMPLE}-"), Length),
            (EXAMPLE.replacen("00", "ff", 1), Version),
            (EXAMPLE.to_ascii_uppercase(), Form),
            (EXAMPLE.replace('-', "_"), Form),
            (EXAMPLE.replacen("4b", "+b", 1), Form),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(), ZeroId),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned(), ZeroId),
            (format!("{}é", &EXAMPLE[..54]), Length),
        ];
        for (text, error) in cases {
            assert_eq!(parse(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags: u8) {
            let context = SpanContext::new(
                NonZeroU128::new(trace).unwrap(),
                NonZeroU64::new(span).unwrap(),
                flags,
            );
            let text = context.to_string();
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert_eq!(parse(&text), Ok(context));
        }

        #[test]
        fn no_text_is_read_as_another_than_it_says(text in "[0-9a-f-]{50,60}|\\PC{0,80}") {
            if let Ok(context) = parse(&text) {
                let written = context.to_string();
                prop_assert_eq!(&written[2..53], &text[2..53]);
            }
        }
    }
}
