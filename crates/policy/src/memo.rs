//! Answers that a thread need not work out again.
//!
//! A policy whose text shows that it reads only some fields of `input`, and calls only functions
//! that depend on nothing but their arguments, answers the same whenever those fields are the
//! same. Where the text does not show it, nothing is remembered. Fields of any JSON type are never
//! part of a question: two numbers may be equal and yet not print alike.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regorus::Engine;
use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::{PolicyDecision, PolicyInput};
use sentinel_core::principal::{ApiKey, Principal};
use sentinel_core::tool::Tool;

use crate::ast;
use crate::build::Shape;
use crate::builtins::is_pure;
use crate::depend::{self, Call, Facts};

/// Answers that a thread keeps, of some 300 bytes each. Beyond that it starts over.
const CAPACITY: usize = 4096;

/// What the answer depends on, beside the tool as registered, its name and its tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each field of `input`")]
pub(crate) struct Reads {
    action: bool,
    agent: bool,
    principal: bool,
    purpose: bool,
    usage: bool,
}

impl Reads {
    /// What the policy in `engine` reads; `None` when its answers must not be kept.
    pub(crate) fn of(engine: &Engine, shape: Shape) -> Option<Self> {
        let files = ast::files(engine).ok()?;
        let facts = depend::collect(&files);
        // By the function that is evaluated, not by the one that the name suggests.
        let pure = |call: &Call<'_>| call.doubt.is_none() && is_pure(call, &facts.definitions);
        if facts.input.other || !facts.calls.iter().all(pure) {
            return None;
        }
        // What remains of the quota is worked out from the usage when the policy does not say.
        let seed = matches!(shape, Shape::Seed { .. });
        Self::of_fields(&facts, Self { usage: seed, ..Self::default() })
    }

    fn of_fields(facts: &Facts<'_>, mut reads: Self) -> Option<Self> {
        for field in &facts.input.fields {
            match field.as_str() {
                "tenant" | "tool" | "tool_record" => {}
                "action" => reads.action = true,
                "agent" => reads.agent = true,
                "principal" => reads.principal = true,
                "purpose" => reads.purpose = true,
                "usage" => reads.usage = true,
                // `arguments`, `context`, `time`, and whatever is added later.
                _ => return None,
            }
        }
        Some(reads)
    }

    fn question(self, input: &PolicyInput<'_>) -> Option<Question> {
        let principal = match input.principal {
            Principal::Key(key) if self.principal => Some(Same(Arc::clone(key))),
            Principal::Unauthenticated | Principal::SelfTest if self.principal => return None,
            _ => None,
        };
        Some(Question {
            tool: input.tool.clone(),
            record: Same(Arc::clone(input.tool_record)),
            tenant: input.tenant.clone(),
            action: self.action.then(|| input.action.clone()),
            agent: input.agent.filter(|_| self.agent).cloned(),
            principal,
            purpose: input.purpose.filter(|_| self.purpose).cloned(),
            usage: self.usage.then_some(input.usage),
        })
    }
}

/// All that the answer depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    tool: ToolName,
    record: Same<Tool>,
    tenant: TenantSlug,
    action: Option<Action>,
    agent: Option<AgentName>,
    principal: Option<Same<ApiKey>>,
    purpose: Option<Purpose>,
    usage: Option<u64>,
}

/// Equal when it is the same value in memory, which being held stays where it is.
#[derive(Debug)]
struct Same<T>(Arc<T>);

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Same<T> {}

impl<T> Hash for Same<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// The answers of one policy on one thread. Errors are not among them.
#[derive(Debug)]
pub(crate) struct Memo {
    reads: Option<Reads>,
    answers: HashMap<Question, PolicyDecision>,
}

impl Memo {
    pub(crate) fn new(reads: Option<Reads>) -> Self {
        Self { reads, answers: HashMap::new() }
    }

    /// The question that `input` poses, when its answer may be kept.
    pub(crate) fn question(&self, input: &PolicyInput<'_>) -> Option<Question> {
        self.reads?.question(input)
    }

    pub(crate) fn get(&self, question: &Question) -> Option<PolicyDecision> {
        self.answers.get(question).cloned()
    }

    pub(crate) fn keep(&mut self, question: Question, answer: &PolicyDecision) {
        if self.answers.len() >= CAPACITY {
            self.answers.clear();
        }
        self.answers.insert(question, answer.clone());
    }
}
