//! `sentinel signing-key`: opens the keys that a configuration names, tries them, and shows what
//! verifies their signatures.

use std::path::PathBuf;

use sentinel_signers::{LogKey, ManifestKey, SignersError, try_out};
use serde_json::json;

use crate::config::load::{Loaded, load};
use crate::config::section::Section as _;
use crate::config::sections::keys::GivenKeys;
use crate::environment;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration; docs/configuration.md lists its fields.
    #[arg(long, env = "SENTINEL_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

pub(crate) async fn run(args: Args, as_json: bool) -> Outcome {
    let Loaded { config, .. } = load(Some(&args.config), environment::variables())?;
    let GivenKeys { manifests, log, .. } = config.keys.checked().map_err(|problems| {
        let failure = Failure::new("the keys of the configuration cannot be used");
        problems.iter().fold(failure, |failure, problem| {
            failure.detail(format!("{}; fix: {}", problem.what, problem.fix))
        })
    })?;
    let service = manifests.source.open().await.map_err(|error| failure(&error))?;
    try_out(service.as_ref()).await.map_err(|error| failure(&error))?;
    let key = ManifestKey::new(service).map_err(|error| failure(&error))?;
    let log = match log {
        None => None,
        Some(source) => {
            let service = source.open().await.map_err(|error| failure(&error))?;
            try_out(service.as_ref()).await.map_err(|error| failure(&error))?;
            Some(
                LogKey::new(service, &config.transparency.log_origin)
                    .map_err(|error| failure(&error))?,
            )
        }
    };
    let pem = key.public_key().to_spki_pem();
    let pem = pem.or_fail(|| "cannot write the public key".to_owned())?;
    let hint = key.public_key().hint();
    let hours = manifests.certifies_for.map(|time| time.as_secs() / 3600);
    let log = log.map(|log| log.verifier_key().to_string());
    if as_json {
        return output::json(&json!({
            "signing_key": { "hint": hint, "public_key": pem, "certifies_for_hours": hours },
            "log_key": log,
        }));
    }
    let does = match hours {
        Some(hours) => format!("certifies the keys of servers for {hours} hours"),
        None => "signs manifests".to_owned(),
    };
    output::line(&format!("signing key {hint} can sign; it {does}"))?;
    output::line(pem.trim_end())?;
    match log {
        Some(key) => output::line(&format!("log key {key} can sign")),
        None => output::line("the database keeps the key of the log"),
    }
}

fn failure(error: &SignersError) -> Failure {
    let failure = Failure::new(error.to_string());
    error.fix().into_iter().fold(failure, Failure::help)
}
