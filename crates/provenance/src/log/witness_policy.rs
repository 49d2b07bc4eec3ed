//! Policy files (C2SP tlog-policy). Only the part that [`WitnessPolicy`] can express is
//! supported: one quorum of one group of witnesses.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::log::note_key::{NoteKeyError, VerifierKey};
use crate::log::witness::{WitnessPolicy, WitnessPolicyError};

/// Longest policy file in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// Why a file is not a policy that can be enforced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyFileError {
    /// It is too long.
    #[error("policy has {actual} bytes, the limit is {MAX_POLICY_BYTES}")]
    TooLarge {
        /// Its length in bytes.
        actual: usize,
    },
    /// A line does not follow the format.
    #[error(
        "line {line}: not `witness NAME KEY`, `group NAME K NAME…`, `quorum NAME` or `log KEY`"
    )]
    Line {
        /// One-based.
        line: usize,
    },
    /// A key cannot be read.
    #[error("line {line}: {reason}")]
    Key {
        /// One-based.
        line: usize,
        /// What is wrong with it.
        reason: NoteKeyError,
    },
    /// A name is not defined before, or defined twice, or a group is listed where only
    /// witnesses can be.
    #[error(
        "line {line}: a name is unknown, defined or listed twice, or that of a group in a group"
    )]
    Name {
        /// One-based.
        line: usize,
    },
    /// The file has no quorum, or two.
    #[error("policy has not exactly one `quorum` line")]
    Quorum,
    /// The quorum is `none`.
    #[error("policy requires no witness")]
    NoWitness,
    /// The quorum cannot be enforced.
    #[error(transparent)]
    Policy(#[from] WitnessPolicyError),
}

enum Named {
    Witness(VerifierKey),
    Group(WitnessPolicy),
}

impl WitnessPolicy {
    /// Reads a policy file of C2SP tlog-policy. Its `log` lines are ignored, because trusted
    /// logs are configured elsewhere. Groups of groups are refused.
    ///
    /// ```
    /// use sentinel_provenance::log::WitnessPolicy;
    ///
    /// let policy = WitnessPolicy::parse(
    ///     "witness a witness.example/w+732d8984+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ\n\
    ///      group all-of-them all a\n\
    ///      quorum all-of-them\n",
    /// );
    /// assert_eq!(policy.map(|policy| policy.quorum()), Ok(1));
    /// ```
    ///
    /// # Errors
    /// [`PolicyFileError`] says which line cannot be enforced.
    pub fn parse(text: &str) -> Result<Self, PolicyFileError> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyFileError::TooLarge { actual: text.len() });
        }
        let mut names = BTreeMap::new();
        let mut quorum = None;
        for (line, text) in (1..).zip(text.split('\n')) {
            let words: Vec<&str> =
                text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            let malformed = PolicyFileError::Line { line };
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", key] | ["log", key, _] => {
                    VerifierKey::parse(key)
                        .map_err(|reason| PolicyFileError::Key { line, reason })?;
                }
                ["witness", name, key] | ["witness", name, key, _] => {
                    let key = VerifierKey::parse(key)
                        .map_err(|reason| PolicyFileError::Key { line, reason })?;
                    define(&mut names, line, name, Named::Witness(key))?;
                }
                ["group", name, threshold, members @ ..] => {
                    let group = group(&names, line, threshold, members)?;
                    define(&mut names, line, name, Named::Group(group))?;
                }
                ["quorum", _] if quorum.is_some() => return Err(PolicyFileError::Quorum),
                ["quorum", "none"] => return Err(PolicyFileError::NoWitness),
                ["quorum", name] => {
                    quorum = Some(match names.get(*name) {
                        Some(Named::Witness(key)) => Self::new(1, vec![key.clone()])?,
                        Some(Named::Group(group)) => group.clone(),
                        None => return Err(PolicyFileError::Name { line }),
                    });
                }
                _ => return Err(malformed),
            }
        }
        quorum.ok_or(PolicyFileError::Quorum)
    }
}

fn define(
    names: &mut BTreeMap<String, Named>,
    line: usize,
    name: &str,
    named: Named,
) -> Result<(), PolicyFileError> {
    if name == "none" || names.insert(name.to_owned(), named).is_some() {
        return Err(PolicyFileError::Name { line });
    }
    Ok(())
}

fn group(
    names: &BTreeMap<String, Named>,
    line: usize,
    threshold: &str,
    members: &[&str],
) -> Result<WitnessPolicy, PolicyFileError> {
    let threshold = match threshold {
        "any" => 1,
        "all" => members.len(),
        digits => digits.parse().map_err(|_| PolicyFileError::Line { line })?,
    };
    let key = |name: &&str| match names.get(*name) {
        Some(Named::Witness(key)) => Ok(key.clone()),
        Some(Named::Group(_)) | None => Err(PolicyFileError::Name { line }),
    };
    let keys = members.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    Ok(WitnessPolicy::new(threshold, keys)?)
}
