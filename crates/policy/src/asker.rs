//! What a thread that asks for decisions keeps: decisions that need not be evaluated again,
//! questions that are being evaluated, and parts of inputs.

use std::cell::RefCell;
use std::sync::Arc;

use regorus::Value;
use sentinel_core::policy::{PolicyDecision, PolicyInput};

use crate::asked::Asked;
use crate::evaluation::Evaluation;
use crate::ground::{Ground, Snapshot};
use crate::input::InputBuilder;
use crate::memo::{Found, Memo};
use crate::reaper::discard;

/// What asking comes to on this thread.
pub(crate) enum Posed {
    /// The decision is known: the same question was evaluated to the end before.
    Known(PolicyDecision),
    /// The same question is being evaluated.
    Asked(Arc<Asked>),
    /// It has to be evaluated; the second is there when others may wait for the same.
    Open(Evaluation, Option<Arc<Asked>>),
    /// The data is not prepared for this policy yet.
    Unprepared(Arc<Snapshot>),
}

#[derive(Default)]
struct Asker {
    builder: Option<InputBuilder>,
    known: Option<Known>,
}

/// What is known of one policy with its data.
struct Known {
    ground: Arc<Ground>,
    memo: Memo,
}

thread_local! {
    static ASKER: RefCell<Asker> = RefCell::new(Asker::default());
}

/// Poses a question under the policy in `snapshot`, if this thread knows that with its data.
pub(crate) fn pose(snapshot: &Arc<Snapshot>, input: &PolicyInput<'_>) -> Option<Posed> {
    ASKER.with_borrow_mut(|asker| {
        let Asker { builder, known } = asker;
        let known = known.as_mut()?;
        if !known.ground.is(snapshot, &input.state.data) {
            return None;
        }
        let asked = match known.memo.look_up(input) {
            Found::Decided(decision) => return Some(Posed::Known(decision)),
            Found::Asked(asked) => return Some(Posed::Asked(asked)),
            Found::Open(asked) => asked,
        };
        let input_value = builder.get_or_insert_with(InputBuilder::new).build(input);
        let ground = Arc::clone(&known.ground);
        Some(Posed::Open(Evaluation { ground, input: input_value, usage: input.usage }, asked))
    })
}

/// The same on a ground that this thread need not know.
pub(crate) fn open(ground: Arc<Ground>, input: &PolicyInput<'_>) -> Posed {
    let value = input_value(input);
    Posed::Open(Evaluation { ground, input: value, usage: input.usage }, None)
}

/// Makes `ground` the one that this thread knows.
pub(crate) fn know(ground: Arc<Ground>) {
    let memo = Memo::new(ground.snapshot.reads);
    let known = Known { ground, memo };
    let old = ASKER.with_borrow_mut(|asker| asker.known.replace(known));
    // The decisions may be many, and this the last reference to much data.
    if let Some(old) = old {
        discard(old);
    }
}

/// The input as the interpreter's value.
pub(crate) fn input_value(input: &PolicyInput<'_>) -> Value {
    ASKER.with_borrow_mut(|asker| asker.builder.get_or_insert_with(InputBuilder::new).build(input))
}
