//! The part of a configuration that says where the transparency log is sent.

use std::path::Path;

use sentinel_objects::Folder;
use sentinel_provenance::log::{TrustedRoot, WitnessPolicy};
use sentinel_transparency::{
    Destinations, PATIENCE, REKOR_PATIENCE, Rekor, TIMESTAMP_PATIENCE, Timestamper, Witness,
};

use super::Config;
use super::problems::{Problem, or_problem};

/// What the fields about it come to; nowhere when one of them is wrong.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) -> Destinations {
    let mirror = or_problem(mirror(config), problems).flatten();
    let witnesses = or_problem(witnesses(config), problems);
    let (witnesses, quorum) = witnesses.unwrap_or_default();
    let rekor = or_problem(rekor(config), problems).flatten();
    let timestamper = or_problem(timestamper(config), problems).flatten();
    Destinations { mirror, witnesses, quorum, rekor, timestamper }
}

fn mirror(config: &Config) -> Result<Option<(String, Folder)>, Problem> {
    let Some(url) = &config.log_mirror_url else { return Ok(None) };
    let folder = Folder::open(url, crate::environment::variables()).map_err(|error| {
        Problem::new(
            format!("`log_mirror_url` cannot be used: {error}"),
            "set `log_mirror_url: file:///var/lib/sentinel/log` to a directory that exists, or \
             `log_mirror_url: s3://bucket/folder`",
        )
    })?;
    Ok(Some((url.clone(), folder)))
}

fn witnesses(config: &Config) -> Result<(Vec<Witness>, usize), Problem> {
    if config.log_witnesses.is_empty() {
        return match config.log_witness_quorum {
            None => Ok((Vec::new(), 0)),
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
    let witnesses = config.log_witnesses.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let all = witnesses.len();
    let Some(quorum) = config.log_witness_quorum else {
        return Err(Problem::new(
            "`log_witnesses` needs a number of them that is enough",
            format!("set `log_witness_quorum`, at most {all}"),
        ));
    };
    let quorum = usize::try_from(quorum).unwrap_or(usize::MAX);
    let keys = witnesses.iter().map(|witness| witness.key().clone()).collect();
    WitnessPolicy::new(quorum, keys).map_err(|error| {
        Problem::new(
            format!("`log_witnesses` and `log_witness_quorum` do not fit: {error}"),
            format!("list each witness once, and set `log_witness_quorum` between 1 and {all}"),
        )
    })?;
    Ok((witnesses, quorum))
}

fn rekor(config: &Config) -> Result<Option<Rekor>, Problem> {
    const MEND: &str = "set `rekor_url: https://log2025-1.rekor.sigstore.dev`, and `rekor_key` to a \
                        file with Sigstore's trusted root (`cosign trusted-root create`)";
    let pair = both("rekor_url", &config.rekor_url, "rekor_key", &config.rekor_key, MEND)?;
    let Some((url, path)) = pair else { return Ok(None) };
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        Problem::new(format!("`rekor_key`: `{}` cannot be used: {error}", path.display()), MEND)
    };
    let json = std::fs::read(path).map_err(|error| unusable(path, &error))?;
    let root = TrustedRoot::parse(&json).map_err(|error| unusable(path, &error))?;
    if root.logs.is_empty() {
        return Err(unusable(path, &"it has no log with an Ed25519 key"));
    }
    Rekor::new(url, root, REKOR_PATIENCE)
        .map(Some)
        .map_err(|error| Problem::new(format!("`rekor_url` cannot be used: {error}"), MEND))
}

fn timestamper(config: &Config) -> Result<Option<Timestamper>, Problem> {
    const MEND: &str = "set `timestamp_url: https://timestamp.sigstore.dev/api/v1/timestamp`, and \
                        `timestamp_trust` to a file with its certificates \
                        (`curl …/api/v1/timestamp/certchain`)";
    let (url, trust) = (&config.timestamp_url, &config.timestamp_trust);
    let Some((url, path)) = both("timestamp_url", url, "timestamp_trust", trust, MEND)? else {
        return Ok(None);
    };
    let unusable = |error: &dyn std::fmt::Display| {
        let what = format!("`timestamp_url` with `{}` cannot be used: {error}", path.display());
        Problem::new(what, MEND)
    };
    let pem = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    let timestamper = Timestamper::new(url, &pem, TIMESTAMP_PATIENCE);
    timestamper.map(Some).map_err(|error| unusable(&error))
}

/// An address, and the file that says whom to believe there: one is nothing without the other.
fn both<'a>(
    of_url: &str,
    url: &'a Option<String>,
    of_path: &str,
    path: &'a Option<std::path::PathBuf>,
    mend: &str,
) -> Result<Option<(&'a str, &'a Path)>, Problem> {
    match (url, path) {
        (None, None) => Ok(None),
        (Some(url), Some(path)) => Ok(Some((url, path))),
        (Some(_), None) => Err(Problem::new(format!("`{of_url}` needs `{of_path}`"), mend)),
        (None, Some(_)) => Err(Problem::new(format!("`{of_path}` needs `{of_url}`"), mend)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITNESS: &str = "https://witness.example \
                           witness.example/w+732d8984+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";

    fn problems(config: &Config) -> String {
        let mut problems = Vec::new();
        let _ = check(config, &mut problems);
        problems.iter().map(|it| format!("{} / {}\n", it.what, it.mend)).collect()
    }

    #[test]
    fn witnesses_need_a_quorum_that_they_can_reach() {
        let with = |witnesses: &[&str], quorum| Config {
            log_witnesses: witnesses.iter().map(|it| (*it).to_owned()).collect(),
            log_witness_quorum: quorum,
            ..Config::default()
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
            let told = problems(&config);
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn an_address_is_nothing_without_whom_to_believe_there() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let no_logs = dir.path().join("root.json");
        std::fs::write(&no_logs, TrustedRoot::default().to_json().unwrap()).unwrap();
        let rekor = |url: Option<&str>, key: Option<&Path>| Config {
            rekor_url: url.map(str::to_owned),
            rekor_key: key.map(Path::to_owned),
            ..Config::default()
        };
        let stamp = |url: Option<&str>, trust: Option<&Path>| Config {
            timestamp_url: url.map(str::to_owned),
            timestamp_trust: trust.map(Path::to_owned),
            ..Config::default()
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
            let told = problems(&config);
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_mirror_is_a_directory_that_exists_or_a_bucket() {
        let with = |url: &str| {
            problems(&Config { log_mirror_url: Some(url.to_owned()), ..Config::default() })
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(with(&format!("file://{}", dir.path().display())), "");
        assert_eq!(with("s3://bucket/folder"), "");
        for url in ["file:///does/not/exist", "https://bucket/x", "s3://a:hunter2@b/c"] {
            let told = with(url);
            assert!(told.contains("`log_mirror_url` cannot be used"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
