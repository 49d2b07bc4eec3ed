//! What the rules of a policy read, as its text shows: fields of `input`, and other rules.

use std::collections::BTreeSet;

use regorus::Engine;

use crate::checks::builtins::is_pure;
use crate::error::AnalysisError;
use crate::interpreter::Shape;
use crate::syntax;
use crate::syntax::depend::{self, Call};

/// The fields of `input` that a policy reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputFields {
    /// Fields named in the text.
    fields: BTreeSet<String>,
    /// Whether anything reads what the text does not name, or `with` replaces something.
    other: bool,
}

impl InputFields {
    /// # Errors
    /// When the syntax tree of the engine's policy cannot be read.
    pub fn of(engine: &Engine) -> Result<Self, AnalysisError> {
        let input = depend::collect(&syntax::files(engine)?).input;
        Ok(Self { fields: input.fields, other: input.other })
    }

    /// Whether the policy may read a field.
    #[must_use]
    pub fn may_have(&self, field: &str) -> bool {
        self.other || self.fields.contains(field)
    }
}

/// Whether another `input.usage` may make a policy state another window. `false` only when the text
/// shows that it does not: the policy does not read the usage, or has the seed's shape, which knows
/// the day only.
#[must_use]
pub fn weighs_usage(engine: &Engine, shape: Shape) -> bool {
    if matches!(shape, Shape::Seed { .. }) {
        return false;
    }
    InputFields::of(engine).map_or(true, |fields| fields.may_have("usage"))
}

/// What a decision depends on, beside the tool as registered, its name and its tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each field of `input`")]
pub struct Reads {
    pub action: bool,
    pub agent: bool,
    pub principal: bool,
    pub purpose: bool,
    pub usage: bool,
}

impl Reads {
    /// What the policy in `engine` reads; `None` when its decisions must not be kept: it reads what
    /// is not a field of this type, or calls a function whose result depends on more than its
    /// arguments.
    #[must_use]
    pub fn of(engine: &Engine, shape: Shape) -> Option<Self> {
        let files = syntax::files(engine).ok()?;
        let facts = depend::collect(&files);
        // By the function that is evaluated, not by the one that the name suggests.
        let pure = |call: &Call<'_>| call.doubt.is_none() && is_pure(call, &facts.definitions);
        if facts.input.other || !facts.calls.iter().all(pure) {
            return None;
        }
        // What remains of the quota is worked out from the usage when the policy does not say.
        let seed = matches!(shape, Shape::Seed { .. });
        Self { usage: seed, ..Self::default() }.with_fields(&facts.input.fields)
    }

    fn with_fields(mut self, fields: &BTreeSet<String>) -> Option<Self> {
        for field in fields {
            match field.as_str() {
                "tenant" | "tool" | "tool_record" => {}
                "action" => self.action = true,
                "agent" => self.agent = true,
                "principal" => self.principal = true,
                "purpose" => self.purpose = true,
                "usage" => self.usage = true,
                // `arguments`, `context`, `time`, and whatever is added later.
                _ => return None,
            }
        }
        Some(self)
    }
}

/// A definition of a rule, and what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleUses {
    /// From `data`, without it: `["sentinel", "policy", "allow"]`.
    pub path: Vec<String>,
    /// Paths of the same form; also prefixes of rules' paths, which mean all rules below.
    pub uses: Vec<Vec<String>>,
}

/// What each definition of a rule refers to.
///
/// # Errors
/// When the syntax tree of the engine's policy cannot be read.
pub fn rule_uses(engine: &Engine) -> Result<Vec<RuleUses>, AnalysisError> {
    let files = syntax::files(engine)?;
    let definitions = depend::collect(&files).definitions.into_iter();
    Ok(definitions.map(|found| RuleUses { path: found.path, uses: found.uses }).collect())
}
