//! What a listener may hold.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sentinel_ingress::Network;

use crate::places::Most;

/// File descriptors that are kept for the database, files and other servers.
const OTHER_FILES: u64 = 256;
/// Places for operators and administrators beside the others.
const RESERVED: usize = 64;
/// Places of a listener that serves no other caller.
const OPERATORS: usize = 256;

/// What a listener may hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections held at one time.
    pub connections: usize,
    /// Connections from one address; `None` limits none.
    pub of_address: Option<usize>,
    /// Proxies, whose addresses are not those of one client.
    pub trusted: Arc<[Network]>,
    /// Whether none but operators and administrators are served.
    pub operators_only: bool,
    /// Time that requests in flight get to finish once the server stops.
    pub grace: Duration,
}

impl Limits {
    /// Those of a listener for operators and administrators, beside one with these.
    #[must_use]
    pub fn of_operators(&self) -> Self {
        let limits = self.clone();
        Self { connections: OPERATORS, of_address: None, operators_only: true, ..limits }
    }

    /// The same, with no more connections than this process may open files; raises the limit of
    /// open files where it can.
    #[must_use]
    pub fn within_open_files(self) -> Self {
        Self { connections: room_for(self.connections), ..self }
    }

    pub(crate) fn most(&self) -> Most {
        Most {
            connections: self.connections,
            of_address: self.of_address.unwrap_or(usize::MAX),
            proxies: Arc::clone(&self.trusted),
            reserved: if self.operators_only { 0 } else { RESERVED },
            operators_only: self.operators_only,
        }
    }
}

/// Makes room for so many connections among the files that this process may open; returns how many
/// there is room for.
fn room_for(connections: usize) -> usize {
    let wanted = u64::try_from(connections + RESERVED + OPERATORS).unwrap_or(u64::MAX);
    let wanted = wanted.saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(now) = current.filter(|now| *now < wanted) else { return connections };
    let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    let have = if raised.is_ok() { most } else { now };
    if have >= wanted {
        return connections;
    }
    let short = usize::try_from(wanted - have).unwrap_or(usize::MAX);
    let room = connections.saturating_sub(short).max(1);
    tracing::warn!(
        max_connections = connections,
        room,
        open_files = have,
        "fewer connections are held than configured: raise the limit of open files (`ulimit -n`, \
         `LimitNOFILE`)"
    );
    room
}
