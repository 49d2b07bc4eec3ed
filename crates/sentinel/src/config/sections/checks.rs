//! What holds for every check.

use std::time::Duration;

use schemars::JsonSchema;
use sentinel_core::rate::{RateLimit, RateLimitError, RateRule, parse_period};
use sentinel_service::attest::Attest;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Checks {
    /// Rate limits of every call, besides those that policy states: `scope:limit/period` or
    /// `scope:limit/period:burst`, the scope being `tenant`, `agent`, `tool` or `agent_tool`
    /// (`agent:100/1s`, `tenant:5000/1m:200`). As an environment variable, separated by commas.
    pub(crate) rate_limits: Vec<String>,
    /// Whether a call that names no agent is denied, with code `agent_required`. An agent kill
    /// covers a call by the agent that it names, and only keys bound to an agent hold it to its
    /// name; policy can demand the same of some calls, by the obligation `require_agent`.
    pub(crate) require_agent: bool,
    /// Which decisions are signed and logged before they are returned, besides being recorded:
    /// `off`, `denials` or `all`. Each costs a signature and some 3 KB.
    pub(crate) attest_decisions: AttestDecisions,
    /// Seconds between two self-tests of the kill switch, in which the server kills an agent of its
    /// own and has to be denied for that. See docs/architecture.md.
    #[schemars(range(min = 1, max = 60))]
    pub(crate) kill_self_test_seconds: u64,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            rate_limits: Vec::new(),
            require_agent: false,
            attest_decisions: AttestDecisions::default(),
            kill_self_test_seconds: 60,
        }
    }
}

/// Which decisions are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttestDecisions {
    #[default]
    Off,
    Denials,
    All,
}

impl From<AttestDecisions> for Attest {
    fn from(which: AttestDecisions) -> Self {
        match which {
            AttestDecisions::Off => Self::Off,
            AttestDecisions::Denials => Self::Denials,
            AttestDecisions::All => Self::All,
        }
    }
}

/// How calls are checked.
#[derive(Debug)]
pub(crate) struct Checking {
    pub(crate) rate_limits: Vec<RateRule>,
    pub(crate) require_agent: bool,
    pub(crate) attest: Attest,
    /// Time between two self-tests of the kill switch.
    pub(crate) self_test: Duration,
}

impl Section for Checks {
    type Built = Checking;

    fn build(&self, problems: &mut Problems) -> Option<Checking> {
        Some(Checking {
            rate_limits: problems.keep(self.rate_limits())?,
            require_agent: self.require_agent,
            attest: self.attest_decisions.into(),
            self_test: Duration::from_secs(self.kill_self_test_seconds),
        })
    }
}

impl Checks {
    fn rate_limits(&self) -> Result<Vec<RateRule>, Problem> {
        let rule = |text: &String| {
            rate_rule(text).map_err(|error| {
                Problem::new(
                    format!("`{text}` in `rate_limits` is not a rate limit: {error}"),
                    "write `scope:limit/period`, as in `agent:100/1s` or `tenant:5000/1m:200`",
                )
            })
        };
        self.rate_limits.iter().map(rule).collect()
    }
}

/// Reads `scope:limit/period` or `scope:limit/period:burst`.
fn rate_rule(text: &str) -> Result<RateRule, RateLimitError> {
    let mut parts = text.split(':');
    let scope = parts.next().unwrap_or_default().parse()?;
    let rate = parts.next().unwrap_or_default();
    let (limit, period) = rate.split_once('/').ok_or(RateLimitError::Limit)?;
    let limit = limit.parse().map_err(|_| RateLimitError::Limit)?;
    let burst = parts.next().map(str::parse).transpose().map_err(|_| RateLimitError::Burst)?;
    if parts.next().is_some() {
        return Err(RateLimitError::UnknownField);
    }
    Ok(RateRule { scope, limit: RateLimit::new(limit, parse_period(period)?, burst)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read_as_written() {
        let second = Duration::from_secs(1);
        let rule = rate_rule("agent:100/1s").unwrap();
        assert_eq!(rule.limit, RateLimit::new(100, second, None).unwrap());
        let rule = rate_rule("agent_tool:5000/1m:200").unwrap();
        assert_eq!(rule.limit, RateLimit::new(5000, second * 60, Some(200)).unwrap());
        for bad in [
            "",
            "agent",
            "agent:",
            "agent:5",
            "all:5/1s",
            "agent:-1/1s",
            "agent:5/1s:0",
            "agent:5/1s:1:1",
        ] {
            assert!(rate_rule(bad).is_err(), "{bad}");
        }
    }
}
