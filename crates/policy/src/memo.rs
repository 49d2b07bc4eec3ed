//! Decisions that a thread need not evaluate again, and questions that are being evaluated.
//!
//! A policy whose text shows that it reads only some fields of `input`, and calls only functions
//! that depend on nothing but their arguments, decides the same whenever those fields are the
//! same. Where the text does not show it, nothing is remembered. Fields of any JSON type are never
//! part of a question: two numbers may be equal and yet not print alike.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use sentinel_core::name::{Action, AgentName, Purpose, TenantSlug, ToolName};
use sentinel_core::policy::{PolicyDecision, PolicyInput};
use sentinel_core::principal::{Identity, Principal, Roles};
use sentinel_core::tool::Tool;
use sentinel_policy_analysis::reads::Reads;

use crate::asked::Asked;

/// Questions that a thread keeps, with decisions of some 300 bytes each. Beyond that it starts over.
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
struct Question {
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

/// What one thread knows of the questions to one policy. Errors are not kept.
///
/// One table, so that a question that is asked for the first time is hashed once.
pub(crate) struct Memo {
    reads: Option<Reads>,
    questions: HashMap<Question, Known, RandomState>,
}

/// What is known of a question.
enum Known {
    /// It was evaluated to the end.
    Decided(PolicyDecision),
    /// It is being evaluated, or was and has not been asked again.
    Asked(Arc<Asked>),
}

/// What a look for a question finds.
pub(crate) enum Found {
    Decided(PolicyDecision),
    /// It is being evaluated for another caller.
    Asked(Arc<Asked>),
    /// It has to be evaluated; those who ask it meanwhile wait there, unless there is no place.
    Open(Option<Arc<Asked>>),
}

impl Memo {
    pub(crate) fn new(reads: Option<Reads>) -> Self {
        Self { reads, questions: HashMap::default() }
    }

    /// What is known of the question that `input` poses. From now on it is being asked.
    pub(crate) fn look_up(&mut self, input: &PolicyInput<'_>) -> Found {
        let Some(reads) = self.reads else { return Found::Open(None) };
        if self.questions.len() >= CAPACITY {
            // An evaluation that goes on holds the other reference.
            self.questions.retain(|_, known| match known {
                Known::Decided(_) => false,
                Known::Asked(asked) => Arc::strong_count(asked) > 1,
            });
        }
        let is_full = self.questions.len() >= CAPACITY;
        match self.questions.entry(question(reads, input)) {
            Entry::Vacant(_) if is_full => Found::Open(None),
            Entry::Vacant(place) => {
                let asked = Arc::<Asked>::default();
                place.insert(Known::Asked(Arc::clone(&asked)));
                Found::Open(Some(asked))
            }
            Entry::Occupied(mut place) => match place.get() {
                Known::Decided(decision) => Found::Decided(decision.clone()),
                Known::Asked(asked) => match asked.outcome() {
                    None => Found::Asked(Arc::clone(asked)),
                    Some(Ok(decision)) => {
                        place.insert(Known::Decided(decision.clone()));
                        Found::Decided(decision)
                    }
                    // Errors, limits among them, are never kept.
                    Some(Err(_)) => {
                        let asked = Arc::<Asked>::default();
                        place.insert(Known::Asked(Arc::clone(&asked)));
                        Found::Open(Some(asked))
                    }
                },
            },
        }
    }
}
