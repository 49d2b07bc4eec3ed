//! The level of the log of one server, which all its clients share. A server of the legacy era has
//! one level for the connection, and the gateway has one connection for all clients: it is asked for
//! everything that any of them wants, and each front passes on what its client asked for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sentinel_mcp_protocol::era::meta::LOG_LEVELS;

/// What a client gets that has set no level, as a place in [`LOG_LEVELS`].
const USUAL: usize = 1;

/// The levels that clients have set, and what the server was told.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    wanted: Mutex<HashMap<u64, usize>>,
    /// Held while the server is told: what it was told last is then what counts.
    pub(crate) told: tokio::sync::Mutex<Option<&'static str>>,
}

impl Levels {
    /// The client `number` wants messages from `level` on.
    pub(crate) fn want(&self, number: u64, level: &str) {
        if let Some(place) = LOG_LEVELS.iter().position(|known| *known == level) {
            self.wanted().insert(number, place);
        }
    }

    /// The client has gone. The server may go on to say more than anyone wants to hear.
    pub(crate) fn forget(&self, number: u64) {
        self.wanted().remove(&number);
    }

    /// The level from which on some client wants messages.
    pub(crate) fn lowest(&self) -> &'static str {
        let lowest = self.wanted().values().copied().min().unwrap_or(USUAL).min(USUAL);
        LOG_LEVELS.get(lowest).copied().unwrap_or("info")
    }

    fn wanted(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_asked_for_what_any_client_wants() {
        let levels = Levels::default();
        assert_eq!((LOG_LEVELS[USUAL], levels.lowest()), ("info", "info"));
        levels.want(1, "error");
        assert_eq!(levels.lowest(), "info", "others have set none, and get what is usual");
        levels.want(2, "debug");
        levels.want(1, "critical");
        assert_eq!(levels.lowest(), "debug");
        levels.forget(2);
        assert_eq!(levels.lowest(), "info");
        levels.want(1, "loud");
        assert_eq!(levels.lowest(), "info");
    }
}
