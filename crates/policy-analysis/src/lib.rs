//! What a policy is, read from its files: parsing, dependencies, lints and vetting.
//!
//! A policy is a set of files ([`PolicySource`]). The [`interpreter`] parses it, [`vet`] says
//! whether it may decide, and [`reads`] what its decisions depend on. All of that happens in the
//! process that calls it; `sentinel-policy` runs it in a process of its own before it trusts a
//! policy.

mod checks;
mod error;
mod finding;
mod input_document;
pub mod interpreter;
mod lint;
pub mod reads;
mod source;
mod syntax;
pub mod vet;

pub use crate::error::{AnalysisError, summary};
pub use crate::finding::{Finding, Lint, Place, Severity};
pub use crate::input_document::{InputDocument, PrincipalDocument, ToolDocument, input_schema};
pub use crate::source::{
    DATA_LIMITS, MANIFEST, Manifest, ManifestError, PolicySource, SourceLimits, is_policy_file,
    parse_manifest,
};
pub use crate::syntax::Span;
pub use crate::vet::Vetted;
