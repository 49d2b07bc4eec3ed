//! Decisions that a thread need not evaluate again.
//!
//! A policy whose text shows that it reads only some fields of `input`, and calls only functions
//! that depend on nothing but their arguments, decides the same whenever those fields are the
//! same. Where the text does not show it, nothing is remembered. Fields of any JSON type are never
//! part of a question: two numbers may be equal and yet not print alike.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::{PolicyDecision, PolicyInput};
use sentinel_core::principal::{Identity, Principal, Roles};
use sentinel_core::tool::Tool;
use sentinel_policy_analysis::reads::Reads;

/// Decisions that a thread keeps, of some 300 bytes each. Beyond that it starts over.
const CAPACITY: usize = 4096;

/// The question that `input` poses to a policy that reads just these fields.
fn question(reads: Reads, input: &PolicyInput<'_>) -> Question {
    Question {
        tool: input.tool.clone(),
        record: Same(Arc::clone(input.tool_record)),
        tenant: input.tenant.clone(),
        action: reads.action.then(|| input.action.clone()),
        agent: input.agent.filter(|_| reads.agent).cloned(),
        principal: reads.principal.then(|| SeenPrincipal(input.principal.clone())),
        purpose: input.purpose.filter(|_| reads.purpose).cloned(),
        usage: reads.usage.then_some(input.usage),
    }
}

/// All that the decision depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    tool: ToolName,
    record: Same<Tool>,
    tenant: TenantSlug,
    action: Option<Action>,
    agent: Option<AgentName>,
    principal: Option<SeenPrincipal>,
    purpose: Option<Purpose>,
    usage: Option<u64>,
}

/// A principal as policy sees it: equal when `input.principal` would be, whatever the credential.
#[derive(Debug)]
struct SeenPrincipal(Principal);

impl SeenPrincipal {
    fn seen(&self) -> (Identity<'_>, Roles) {
        (self.0.identity(), self.0.roles())
    }
}

impl PartialEq for SeenPrincipal {
    fn eq(&self, other: &Self) -> bool {
        self.seen() == other.seen()
    }
}

impl Eq for SeenPrincipal {}

impl Hash for SeenPrincipal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seen().hash(state);
    }
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

/// The decisions of one policy on one thread. Errors are not among them.
#[derive(Debug)]
pub(crate) struct Memo {
    reads: Option<Reads>,
    decisions: HashMap<Question, PolicyDecision>,
}

impl Memo {
    pub(crate) fn new(reads: Option<Reads>) -> Self {
        Self { reads, decisions: HashMap::new() }
    }

    /// The question that `input` poses, when its decision may be kept.
    pub(crate) fn question(&self, input: &PolicyInput<'_>) -> Option<Question> {
        self.reads.map(|reads| question(reads, input))
    }

    pub(crate) fn get(&self, question: &Question) -> Option<PolicyDecision> {
        self.decisions.get(question).cloned()
    }

    pub(crate) fn keep(&mut self, question: Question, decision: &PolicyDecision) {
        if self.decisions.len() >= CAPACITY {
            self.decisions.clear();
        }
        self.decisions.insert(question, decision.clone());
    }
}
