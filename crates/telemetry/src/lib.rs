//! What every part of Sentinel MCP reports about itself: figures that a scrape reads, and the span
//! context of the request that a piece of work belongs to. Nothing here sends anything anywhere.

mod links;
mod measure;
mod propagation;
mod span_context;

pub use links::Links;
pub use measure::{Durations, Labels, Measure, Source, Sources, Values};
pub use propagation::{current, within};
pub use span_context::{SpanContext, TRACEPARENT, TraceparentError};
