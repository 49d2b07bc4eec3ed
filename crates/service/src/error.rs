//! Why a use case did not do what was asked.

use sentinel_core::store::{Conflict, StoreError};

/// The code of what was asked for after its payload key was destroyed.
pub(crate) const PAYLOAD_DESTROYED: &str = "payload_destroyed";
/// The code of a manifest whose identifier is taken.
pub(crate) const MANIFEST_EXISTS: &str = "manifest_exists";

/// Every error has a stable code; its message may be shown to the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// Something that was named does not exist.
    #[error("{what} not found")]
    NotFound { code: &'static str, what: String },
    /// The state forbids it.
    #[error("{detail}")]
    Conflict { code: &'static str, detail: String },
    /// The caller stated what it changes, and it is something else by now.
    #[error("{detail}")]
    Stale { code: &'static str, detail: String },
    /// The request makes no sense, whatever the state.
    #[error("{detail}")]
    Invalid { code: &'static str, detail: String },
    /// The cursor of a listing was not issued here.
    #[error("{}", StoreError::BadCursor)]
    BadCursor,
    /// The caller may not do this there.
    #[error("{detail}")]
    Forbidden { code: &'static str, detail: String },
    /// It was there, and is gone for good.
    #[error("{detail}")]
    Gone { code: &'static str, detail: String },
    /// More is waiting than can be answered in time.
    #[error("too many requests are waiting; try again shortly")]
    Overloaded,
    /// Tenants, tools, keys or policies changed each time that this was tried; nothing was done or
    /// allowed.
    #[error(
        "gave up after {attempts} attempts, because what this depends on changed each time; try \
         again shortly"
    )]
    GaveUp { attempts: u32 },
    /// The caller's time was over before the call was decided; nothing was recorded or allowed.
    #[error("the time that the caller gave was over before this could be decided")]
    DeadlineExceeded,
    /// The database has payload keys that this server cannot use: it has another key that wraps
    /// them, or none. Only a start fails like this.
    #[error("the database has payload keys that are wrapped by another key, and {0}")]
    PayloadKey(&'static str),
    /// What was asked for is stored, and waits for the next checkpoint of the log.
    #[error(
        "entry {index} of the log is stored, but no checkpoint covers it yet; try again shortly"
    )]
    LogBehind { index: u64 },
    /// The store could not answer; nothing was done or allowed. The cause is for the log: it may
    /// name files and hosts.
    #[error("the store is unavailable; nothing was allowed and nothing is acknowledged")]
    Unavailable(String),
}

impl ServiceError {
    /// The code clients switch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { code, .. }
            | Self::Conflict { code, .. }
            | Self::Stale { code, .. }
            | Self::Invalid { code, .. }
            | Self::Forbidden { code, .. }
            | Self::Gone { code, .. } => code,
            Self::Overloaded | Self::GaveUp { .. } => "overloaded",
            Self::BadCursor => "bad_cursor",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::PayloadKey(_) => "payload_key_missing",
            Self::LogBehind { .. } => "log_behind",
            Self::Unavailable(_) => "store_unavailable",
        }
    }

    /// What happened, for the log: with what callers are not told.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Unavailable(cause) => cause.clone(),
            other => other.to_string(),
        }
    }

    pub(crate) fn not_found(code: &'static str, what: impl Into<String>) -> Self {
        Self::NotFound { code, what: what.into() }
    }

    pub(crate) fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { code, detail: detail.into() }
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }

    pub(crate) fn tenant_forbidden() -> Self {
        Self::Forbidden {
            code: "tenant_forbidden",
            detail: "the key is not bound to that tenant".to_owned(),
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(conflict) => of_conflict(&conflict),
            StoreError::BadCursor => Self::BadCursor,
            StoreError::Unavailable(_)
            | StoreError::InUse { .. }
            | StoreError::SchemaTooNew { .. }
            | StoreError::Corrupt(_)
            | StoreError::NoOpenShard => Self::Unavailable(error.to_string()),
        }
    }
}

fn of_conflict(conflict: &Conflict) -> ServiceError {
    let code = match conflict {
        Conflict::TenantExists(_) => "tenant_exists",
        Conflict::ToolExists(_) => "tool_exists",
        Conflict::ToolConfusable { .. } => "tool_confusable",
        Conflict::UpstreamExists(_) => "upstream_exists",
        Conflict::OlderServers(_) | Conflict::ServersWithoutPins(_) => "older_servers_connected",
        Conflict::ManifestExists => MANIFEST_EXISTS,
        Conflict::PayloadKeyDestroyed => {
            return ServiceError::Gone { code: PAYLOAD_DESTROYED, detail: conflict.to_string() };
        }
    };
    ServiceError::conflict(code, conflict.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_what_callers_are_not() {
        let error = ServiceError::Unavailable("no key for log `log.example`".to_owned());
        assert_eq!(error.cause(), "no key for log `log.example`");
        assert!(!error.to_string().contains("log.example"));
        assert_eq!(ServiceError::Overloaded.cause(), ServiceError::Overloaded.to_string());
    }

    #[test]
    fn giving_up_has_the_code_of_overload_and_a_sentence_of_its_own() {
        let error = ServiceError::GaveUp { attempts: 5 };
        assert_eq!(error.code(), ServiceError::Overloaded.code());
        assert!(error.to_string().starts_with("gave up after 5 attempts"), "{error}");
    }
}
