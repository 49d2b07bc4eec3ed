//! Eras and versions of the protocol, on either side of the gateway.
//!
//! Up to 2025-11-25 a connection begins with `initialize` and has a session (*legacy*). Since
//! 2026-07-28 every request stands alone and carries its version, its client's capabilities and, on
//! HTTP, headers that repeat parts of the body (*modern*).

use std::fmt;

pub use self::headers::{check_headers, read_over_http, write_headers};
pub use self::meta::{ClientMeta, is_modern, write_meta};
pub use self::param_headers::{ParamHeader, ParamHeaders};

pub mod encoding;
mod headers;
pub mod meta;
mod param_headers;
#[cfg(test)]
mod tests;

/// Names of HTTP headers, in the case that the `http` crate wants.
pub mod header {
    pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
    pub const SESSION_ID: &str = "mcp-session-id";
    pub const METHOD: &str = "mcp-method";
    pub const NAME: &str = "mcp-name";
    /// Followed by the name that a tool's schema gives to an argument.
    pub const PARAM_PREFIX: &str = "mcp-param-";
    pub const LAST_EVENT_ID: &str = "last-event-id";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Sessions that begin with `initialize`.
    Legacy,
    /// Requests that stand alone.
    Modern,
}

/// A revision of the protocol. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Version {
    /// Every version that the gateway speaks, the newest first: the order in which versions are
    /// offered.
    pub const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];
    /// The newest version that has sessions.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// The newest version that has none.
    pub const NEWEST_MODERN: Self = Self::V2026_07_28;
    /// What an HTTP client speaks that sends no version header: that header is younger than the
    /// transport.
    pub const WITHOUT_HEADER: Self = Self::V2025_03_26;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The version of that name; `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    #[must_use]
    pub fn era(self) -> Era {
        if self >= Self::V2026_07_28 { Era::Modern } else { Era::Legacy }
    }

    /// The version of a session whose client asks for `requested`: that one if it has sessions,
    /// otherwise the newest that does. The client decides whether it can live with it.
    #[must_use]
    pub fn for_session(requested: &str) -> Self {
        Self::parse(requested)
            .filter(|version| version.era() == Era::Legacy)
            .unwrap_or(Self::NEWEST_LEGACY)
    }

    /// The names of all versions, as `server/discover` and `-32022` list them.
    #[must_use]
    pub fn names() -> [&'static str; 5] {
        Self::ALL.map(Self::as_str)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
