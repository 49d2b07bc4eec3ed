//! Restoring: what ends, and who may end it.

use jiff::Timestamp;

use super::{Kill, KillScope};
use crate::tool::Tool;

/// A restore as asked for.
#[derive(Debug, Clone)]
pub struct RestoreOrder {
    pub scope: KillScope,
    /// Identifier of the principal that restores.
    pub actor: String,
    /// Whether that principal is bound to no tenant.
    pub by_platform: bool,
    pub at: Timestamp,
}

/// What becomes of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestorePlan<'a> {
    /// These end; none when nothing of that scope is killed.
    End(Vec<&'a Kill>),
    /// A wider kill covers it, so nothing would change.
    StillCovered(&'a Kill),
    /// A principal bound to no tenant made this one, and only such a one ends it.
    NotYours(&'a Kill),
}

/// Decides on a restore, given every kill that is not over, oldest first, and the tool that is
/// named, if one is. Both stores decide by this, in the transaction that restores.
///
/// Beside a kill of the platform nothing of the same scope ends either: else who restored would
/// take for working what is not.
#[must_use]
pub fn plan_restore<'a>(
    kills: &'a [Kill],
    order: &RestoreOrder,
    tool: Option<&Tool>,
) -> RestorePlan<'a> {
    for wider in order.scope.wider(tool) {
        let wider = wider.folded();
        let covers = |kill: &&Kill| kill.covers_at(order.at) && kill.scope.folded() == wider;
        if let Some(kill) = kills.iter().find(covers) {
            return RestorePlan::StillCovered(kill);
        }
    }
    let scope = order.scope.folded();
    let ends: Vec<_> = kills.iter().filter(|kill| kill.scope.folded() == scope).collect();
    match ends.iter().find(|kill| kill.by_platform && !order.by_platform) {
        Some(kill) => RestorePlan::NotYours(kill),
        None => RestorePlan::End(ends),
    }
}
