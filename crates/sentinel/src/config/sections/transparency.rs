//! The transparency log: its name, who may read it, and where it is sent.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use sentinel_objects::Folder;
use sentinel_provenance::log::{TrustedRoot, WitnessPolicy};
use sentinel_transparency::{
    Destinations, PATIENCE, REKOR_PATIENCE, Rekor, TIMESTAMP_PATIENCE, Timestamper, Witness,
};
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::environment;

/// Name of the log of a deployment that has given it none.
pub(crate) const DEFAULT_LOG_ORIGIN: &str = "log.localhost";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TransparencySection {
    /// Name of the transparency log: a host name of yours that identifies it, without
    /// port and path (`log.example.com`). Nothing is fetched from there; verifiers know the log by
    /// it. With another name than before, the log is ended and goes on as a new one.
    pub(crate) log_origin: String,
    /// Lets everybody read the transparency log and its trusted root, without a key. It holds
    /// hashes, signatures and public keys, and shows how much is signed and when.
    pub(crate) public_log: bool,
    /// Where the transparency log is copied to, for others to read: `file:///absolute/directory`
    /// that exists, or `s3://bucket/folder` with credentials in the usual `AWS_…` variables. See
    /// docs/transparency.md.
    pub(crate) log_mirror_url: Option<String>,
    /// Witnesses that are asked to cosign checkpoints, each as its address and its key:
    /// `https://witness.example witness.example/w+1f9c…+BAf…`. As an environment variable,
    /// separated by commas.
    pub(crate) log_witnesses: Vec<String>,
    /// How many of the witnesses must have cosigned a checkpoint before bundles carry it. Required
    /// with `log_witnesses`.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) log_witness_quorum: Option<u32>,
    /// A Rekor v2 into which every leaf of the log is entered too, such as
    /// `https://log2025-1.rekor.sigstore.dev`. It learns hashes, signatures and public keys.
    pub(crate) rekor_url: Option<String>,
    /// File with a Sigstore trusted root that has that Rekor's key. Required with `rekor_url`.
    pub(crate) rekor_key: Option<PathBuf>,
    /// A timestamp authority (RFC 3161) that is asked for the time of every signature, such as
    /// `https://timestamp.sigstore.dev/api/v1/timestamp`. It learns hashes.
    pub(crate) timestamp_url: Option<String>,
    /// File with that authority's certificates in PEM: that which signs first, the root last.
    /// Required with `timestamp_url`.
    pub(crate) timestamp_trust: Option<PathBuf>,
}

impl Default for TransparencySection {
    fn default() -> Self {
        Self {
            log_origin: DEFAULT_LOG_ORIGIN.to_owned(),
            public_log: false,
            log_mirror_url: None,
            log_witnesses: Vec::new(),
            log_witness_quorum: None,
            rekor_url: None,
            rekor_key: None,
            timestamp_url: None,
            timestamp_trust: None,
        }
    }
}

/// The transparency log of a server.
#[derive(Debug)]
pub(crate) struct Transparency {
    pub(crate) origin: String,
    /// Whether it can be read without a key.
    pub(crate) public: bool,
    /// Who must have cosigned it for a manifest to be verified; `None` demands no one.
    pub(crate) witnesses: Option<WitnessPolicy>,
    /// Where it is sent.
    pub(crate) destinations: Destinations,
}

impl Section for TransparencySection {
    type Built = Transparency;

    fn build(&self, problems: &mut Problems) -> Option<Transparency> {
        let mirror = problems.keep(mirror(self));
        let witnesses = problems.keep(witnesses(self));
        let rekor = problems.keep(rekor(self));
        let timestamper = problems.keep(timestamper(self));
        let Witnesses { list, quorum, policy } = witnesses?;
        Some(Transparency {
            origin: self.log_origin.clone(),
            public: self.public_log,
            witnesses: policy,
            destinations: Destinations {
                mirror: mirror?,
                witnesses: list,
                quorum,
                rekor: rekor?,
                timestamper: timestamper?,
            },
        })
    }
}

/// The witnesses, and how many of them are enough.
#[derive(Default)]
struct Witnesses {
    list: Vec<Witness>,
    quorum: usize,
    /// `None` when there are no witnesses.
    policy: Option<WitnessPolicy>,
}

fn mirror(config: &TransparencySection) -> Result<Option<(String, Folder)>, Problem> {
    let Some(url) = &config.log_mirror_url else { return Ok(None) };
    let folder = Folder::open(url, environment::variables()).map_err(|error| {
        Problem::new(
            format!("`log_mirror_url` cannot be used: {error}"),
            "set `log_mirror_url: file:///var/lib/sentinel/log` to a directory that exists, or \
             `log_mirror_url: s3://bucket/folder`",
        )
    })?;
    Ok(Some((url.clone(), folder)))
}

fn witnesses(config: &TransparencySection) -> Result<Witnesses, Problem> {
    if config.log_witnesses.is_empty() {
        return match config.log_witness_quorum {
            None => Ok(Witnesses::default()),
            Some(quorum) => Err(Problem::new(
                format!("`log_witness_quorum: {quorum}` without `log_witnesses` does nothing"),
                "list the witnesses in `log_witnesses`, or remove `log_witness_quorum`",
            )),
        };
    }
    let parse = |text: &String| {
        Witness::parse(text, PATIENCE).map_err(|error| {
            Problem::new(
                format!("a witness in `log_witnesses` cannot be used: {error}"),
                "write its address and its key, `https://witness.example name+1f9c0b2a+BAf…`",
            )
        })
    };
    let list = config.log_witnesses.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let all = list.len();
    let Some(quorum) = config.log_witness_quorum else {
        return Err(Problem::new(
            "`log_witnesses` needs a number of them that is enough",
            format!("set `log_witness_quorum`, at most {all}"),
        ));
    };
    let quorum = usize::try_from(quorum).unwrap_or(usize::MAX);
    let keys = list.iter().map(|witness| witness.key().clone()).collect();
    let policy = WitnessPolicy::new(quorum, keys).map_err(|error| {
        Problem::new(
            format!("`log_witnesses` and `log_witness_quorum` do not fit: {error}"),
            format!("list each witness once, and set `log_witness_quorum` between 1 and {all}"),
        )
    })?;
    Ok(Witnesses { list, quorum, policy: Some(policy) })
}

fn rekor(config: &TransparencySection) -> Result<Option<Rekor>, Problem> {
    const FIX: &str = "set `rekor_url: https://log2025-1.rekor.sigstore.dev`, and `rekor_key` to a \
                        file with Sigstore's trusted root (`cosign trusted-root create`)";
    let pair = both("rekor_url", &config.rekor_url, "rekor_key", &config.rekor_key, FIX)?;
    let Some((url, path)) = pair else { return Ok(None) };
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        Problem::new(format!("`rekor_key`: `{}` cannot be used: {error}", path.display()), FIX)
    };
    let json = std::fs::read(path).map_err(|error| unusable(path, &error))?;
    let root = TrustedRoot::parse(&json).map_err(|error| unusable(path, &error))?;
    if root.logs.is_empty() {
        return Err(unusable(path, &"it has no log with an Ed25519 key"));
    }
    Rekor::new(url, root, REKOR_PATIENCE)
        .map(Some)
        .map_err(|error| Problem::new(format!("`rekor_url` cannot be used: {error}"), FIX))
}

fn timestamper(config: &TransparencySection) -> Result<Option<Timestamper>, Problem> {
    const FIX: &str = "set `timestamp_url: https://timestamp.sigstore.dev/api/v1/timestamp`, and \
                        `timestamp_trust` to a file with its certificates \
                        (`curl …/api/v1/timestamp/certchain`)";
    let (url, trust) = (&config.timestamp_url, &config.timestamp_trust);
    let Some((url, path)) = both("timestamp_url", url, "timestamp_trust", trust, FIX)? else {
        return Ok(None);
    };
    let unusable = |error: &dyn std::fmt::Display| {
        let what = format!("`timestamp_url` with `{}` cannot be used: {error}", path.display());
        Problem::new(what, FIX)
    };
    let pem = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    let timestamper = Timestamper::new(url, &pem, TIMESTAMP_PATIENCE);
    timestamper.map(Some).map_err(|error| unusable(&error))
}

/// An address, and the file that says which keys to trust there: neither is of use alone.
fn both<'a>(
    of_url: &str,
    url: &'a Option<String>,
    of_path: &str,
    path: &'a Option<PathBuf>,
    fix: &str,
) -> Result<Option<(&'a str, &'a Path)>, Problem> {
    match (url, path) {
        (None, None) => Ok(None),
        (Some(url), Some(path)) => Ok(Some((url, path))),
        (Some(_), None) => Err(Problem::new(format!("`{of_url}` needs `{of_path}`"), fix)),
        (None, Some(_)) => Err(Problem::new(format!("`{of_path}` needs `{of_url}`"), fix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITNESS: &str = "https://witness.example \
                           witness.example/w+732d8984+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";

    fn problems(config: &TransparencySection) -> String {
        let mut problems = Problems::default();
        let built = config.build(&mut problems);
        assert_eq!(built.is_none(), !problems.is_empty());
        problems.iter().map(|it| format!("{} / {}\n", it.what, it.fix)).collect()
    }

    #[test]
    fn witnesses_need_a_quorum_that_they_can_reach() {
        let with = |witnesses: &[&str], quorum| TransparencySection {
            log_witnesses: witnesses.iter().map(|it| (*it).to_owned()).collect(),
            log_witness_quorum: quorum,
            ..TransparencySection::default()
        };
        assert_eq!(problems(&with(&[], None)), "");
        assert_eq!(problems(&with(&[WITNESS], Some(1))), "");
        for (config, expected) in [
            (with(&[], Some(1)), "does nothing"),
            (with(&[WITNESS], None), "needs a number"),
            (with(&[WITNESS], Some(0)), "quorum is 0 of 1"),
            (with(&[WITNESS], Some(2)), "quorum is 2 of 1"),
            (with(&[WITNESS, WITNESS], Some(1)), "listed twice"),
            (with(&["https://witness.example"], Some(1)), "not an address and a key"),
        ] {
            let found = problems(&config);
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn an_address_is_of_no_use_without_the_keys_to_trust_there() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let no_logs = dir.path().join("root.json");
        std::fs::write(&no_logs, TrustedRoot::default().to_json().unwrap()).unwrap();
        let rekor = |url: Option<&str>, key: Option<&Path>| TransparencySection {
            rekor_url: url.map(str::to_owned),
            rekor_key: key.map(Path::to_owned),
            ..TransparencySection::default()
        };
        let stamp = |url: Option<&str>, trust: Option<&Path>| TransparencySection {
            timestamp_url: url.map(str::to_owned),
            timestamp_trust: trust.map(Path::to_owned),
            ..TransparencySection::default()
        };
        let url = Some("https://peer.example/x");
        for (config, expected) in [
            (rekor(url, None), "`rekor_url` needs `rekor_key`"),
            (rekor(None, Some(&empty)), "`rekor_key` needs `rekor_url`"),
            (rekor(url, Some(&empty)), "cannot be used"),
            (rekor(url, Some(&no_logs)), "no log with an Ed25519 key"),
            (stamp(url, None), "`timestamp_url` needs `timestamp_trust`"),
            (stamp(None, Some(&empty)), "`timestamp_trust` needs `timestamp_url`"),
            (stamp(url, Some(&empty)), "0 certificates"),
        ] {
            let found = problems(&config);
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn a_mirror_is_a_directory_that_exists_or_a_bucket() {
        let with = |url: &str| {
            problems(&TransparencySection {
                log_mirror_url: Some(url.to_owned()),
                ..TransparencySection::default()
            })
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(with(&format!("file://{}", dir.path().display())), "");
        assert_eq!(with("s3://bucket/folder"), "");
        for url in ["file:///does/not/exist", "https://bucket/x", "s3://a:hunter2@b/c"] {
            let found = with(url);
            assert!(found.contains("`log_mirror_url` cannot be used"), "{found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }
}
