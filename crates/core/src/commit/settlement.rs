//! What decisions take that is single-use or counted.

use super::entry::Entry;
use super::pending::Pending;

/// A kind of thing that decisions of one batch take and that only the transaction which commits
/// them can give: a call id is claimed once, a quota has so many places. A store settles each kind
/// inside the transaction, in the order of [`Settlement::ORDER`], before it inserts a decision.
///
/// To add a kind: add it here and to the order, implement `Settles` in a file of its own, give
/// [`Batch`](super::Batch) the two methods that a store calls (what is asked, what was found), and
/// settle it in the `commit.rs` of both stores, whose `match` does not compile without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Call ids, which make a check idempotent: [`Batch::claims`](super::Batch::claims).
    Claims,
    /// Quotas, which count allows: [`Batch::reservations`](super::Batch::reservations).
    Quotas,
}

impl Settlement {
    /// The order in which a batch is settled. A decision that an earlier kind took out of the
    /// batch, or made a deny, takes nothing of a later one. It is also the order in which locks are
    /// taken, so no two transactions wait for each other in a circle.
    pub const ORDER: [Self; 2] = [Self::Claims, Self::Quotas];
}

/// One kind of settlement, for the decisions of one batch.
pub(super) trait Settles {
    /// One thing that a store is asked for.
    type Asked;
    /// What it finds.
    type Found;

    /// Whether `pending` can be settled together with the decisions that joined before it; if not,
    /// it waits for the next batch.
    fn admits(&self, pending: &Pending) -> bool;

    /// Takes note of a decision that joins the batch.
    fn join(&mut self, pending: &Pending);

    /// Whether there is anything to ask for.
    fn are_needed(&self, entries: &[Entry]) -> bool;

    /// What a store is asked for.
    fn asked(&self, entries: &[Entry]) -> Vec<Self::Asked>;

    /// Makes of the decisions what follows from `found`.
    fn settle(&mut self, entries: &mut [Entry], asked: &Self::Asked, found: Self::Found);
}
