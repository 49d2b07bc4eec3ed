//! Which upstreams may be added, and how often their tools may change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::id::UpstreamId;
use sentinel_core::principal::Principal;
use sentinel_core::upstream::{HttpTransport, SecretRef, StdioTransport, Transport};

use crate::ServiceError;
use crate::kill::UNBOUND_REQUIRED;
use crate::networks::Networks;

/// What the configuration says about upstreams.
#[derive(Debug, Clone, Default)]
pub struct UpstreamRules {
    /// Commands that a stdio upstream may run.
    pub allowed_commands: Vec<AllowedCommand>,
    /// Whether any command may be run: only where every caller is on this machine anyway.
    pub any_command: bool,
    pub new_tools: NewTools,
    /// Whether `sentinel mcp wrap` may add the server that it wraps.
    pub wrap: bool,
    /// Networks in which the address of an upstream may be.
    pub networks: Networks,
}

/// What becomes of a tool that an upstream lists for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewTools {
    /// It is pinned as it is.
    #[default]
    Pin,
    /// It is quarantined until an operator approves it.
    Quarantine,
}

/// A command that may be run, as it must be written: word for word. A last word `*` permits any
/// further words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedCommand(Vec<String>);

impl AllowedCommand {
    /// Reads words that are separated by spaces; `None` when the program is not named.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        words.first().filter(|program| *program != "*")?;
        Some(Self(words))
    }

    #[must_use]
    pub fn permits(&self, command: &[String]) -> bool {
        match self.0.split_last() {
            Some((last, first)) if last == "*" => command.starts_with(first),
            _ => command == self.0,
        }
    }
}

/// Most words of a command, variables and headers of a transport, and most bytes of one.
const MAX_WORDS: usize = 64;
const MAX_WORD: usize = 2048;

/// Headers that the connection writes itself, or that would let a client speak for another.
const RESERVED_HEADERS: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "accept",
    "last-event-id",
    "origin",
];

impl UpstreamRules {
    /// Refuses a transport that `principal` may not use, or that is not allowed.
    pub(crate) fn check(
        &self,
        principal: &Principal,
        transport: &Transport,
    ) -> Result<(), ServiceError> {
        let needs_unbound = matches!(transport, Transport::Stdio(_));
        if principal.tenant().is_some() && (needs_unbound || transport.secrets().next().is_some()) {
            let detail = "a command that is run on the server, and references to secrets of the \
                          server, take an administrator who is bound to no tenant";
            return Err(ServiceError::Forbidden {
                code: UNBOUND_REQUIRED,
                detail: detail.to_owned(),
            });
        }
        self.check_configured(transport)
    }

    /// Checks a transport that the configuration states.
    ///
    /// # Errors
    /// When it cannot be used, or is not allowed.
    pub fn check_configured(&self, transport: &Transport) -> Result<(), ServiceError> {
        match transport {
            Transport::Stdio(stdio) => self.check_stdio(stdio)?,
            Transport::Http(http) | Transport::Sse(http) => self.check_http(http)?,
            Transport::Wrapped => {}
        }
        for (name, secret) in transport.secrets() {
            if name.len() > MAX_WORD || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return invalid("names of variables and headers are printable ASCII");
            }
            if matches!(secret, SecretRef::Env(variable) if is_own_secret(variable)) {
                return invalid("`env:` must not name a variable of Sentinel's own configuration");
            }
        }
        if transport.secrets().count() > MAX_WORDS {
            return invalid("at most 64 variables or headers");
        }
        Ok(())
    }

    fn check_stdio(&self, stdio: &StdioTransport) -> Result<(), ServiceError> {
        let command = &stdio.command;
        let is_word = |word: &String| word.len() <= MAX_WORD && !word.contains(char::is_control);
        if command.first().is_none_or(String::is_empty)
            || command.len() > MAX_WORDS
            || !command.iter().all(is_word)
        {
            return invalid(
                "`command` takes 1 to 64 words of at most 2048 bytes, each on one line",
            );
        }
        if !stdio.env.keys().all(|name| sentinel_core::upstream::is_variable(name)) {
            return invalid("`env` has a name that no environment variable can have");
        }
        let is_allowed = || self.allowed_commands.iter().any(|allowed| allowed.permits(command));
        if !self.any_command && !is_allowed() {
            let detail = "the configuration does not allow this command; add it to \
                          `gateway_allowed_commands`, word for word";
            return Err(ServiceError::Forbidden {
                code: "command_not_allowed",
                detail: detail.to_owned(),
            });
        }
        Ok(())
    }

    fn check_http(&self, http: &HttpTransport) -> Result<(), ServiceError> {
        let url = &http.url;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return invalid("`url` must be an absolute http or https address");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid("an address must not contain credentials; use `headers`");
        }
        if url.as_str().len() > MAX_WORD || url.fragment().is_some() {
            return invalid("`url` takes at most 2048 bytes and no fragment");
        }
        if !self.networks.allow_literal(url) {
            return invalid("the address is in a network that the configuration does not allow");
        }
        let is_token = |name: &String| {
            let is_token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            !name.is_empty() && name.bytes().all(is_token)
        };
        let is_reserved = |name: &String| {
            let name = name.to_ascii_lowercase();
            name.starts_with("mcp-") || RESERVED_HEADERS.contains(&name.as_str())
        };
        if !http.headers.keys().all(is_token) || http.headers.keys().any(is_reserved) {
            return invalid("`headers` has a name that cannot be set");
        }
        Ok(())
    }
}

/// Variables of Sentinel's configuration hold its keys and passwords. Those that begin with
/// `SENTINEL_UPSTREAM_` are for upstreams.
fn is_own_secret(variable: &str) -> bool {
    variable.starts_with("SENTINEL_") && !variable.starts_with("SENTINEL_UPSTREAM_")
}

fn invalid(detail: &str) -> Result<(), ServiceError> {
    Err(ServiceError::invalid("invalid_upstream", detail))
}

/// Transactions in which the pins of one upstream may change within a period. Each begins an epoch,
/// so an upstream, or an agent that wraps one, must not be able to change them without end.
const CHANGES: u32 = 60;
const PERIOD: Duration = Duration::from_secs(60);
/// Upstreams that are counted at one time.
const COUNTED: usize = 4096;

/// Counts the changes of each upstream in this process.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<HashMap<UpstreamId, (Duration, u32)>>);

impl Budget {
    /// Takes one change at `uptime`; refuses when the period has had its share.
    pub(crate) fn take(&self, upstream: UpstreamId, uptime: Duration) -> Result<(), ServiceError> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTED {
            counts.retain(|_, (begun, _)| uptime.saturating_sub(*begun) < PERIOD);
        }
        if counts.len() >= COUNTED && !counts.contains_key(&upstream) {
            return Err(ServiceError::Overloaded);
        }
        let (begun, count) = counts.entry(upstream).or_insert((uptime, 0));
        if uptime.saturating_sub(*begun) >= PERIOD {
            (*begun, *count) = (uptime, 0);
        }
        if *count >= CHANGES {
            return Err(ServiceError::Overloaded);
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_command_is_allowed_word_for_word() {
        let time = AllowedCommand::parse("mcp-server-time").unwrap();
        assert!(time.permits(&words("mcp-server-time")));
        assert!(!time.permits(&words("mcp-server-time --x")));
        let files = AllowedCommand::parse("npx -y server-filesystem *").unwrap();
        assert!(files.permits(&words("npx -y server-filesystem /srv /tmp")));
        assert!(files.permits(&words("npx -y server-filesystem")));
        assert!(!files.permits(&words("npx -y server-filesystem2")));
        assert!(!files.permits(&words("npx -y")));
        assert_eq!(AllowedCommand::parse("*"), None);
        assert_eq!(AllowedCommand::parse("  "), None);
    }

    #[test]
    fn changes_beyond_the_budget_are_refused_until_the_next_period() {
        let budget = Budget::default();
        let id = UpstreamId(uuid::Uuid::from_u128(1));
        let at = Duration::from_secs(5);
        (0..CHANGES).for_each(|_| budget.take(id, at).unwrap());
        budget.take(id, at).unwrap_err();
        budget.take(UpstreamId(uuid::Uuid::from_u128(2)), at).unwrap();
        budget.take(id, at + PERIOD).unwrap();
    }
}
