//! `sentinel provenance`: manifests, verified offline or fetched from a server.

mod keys;

use std::path::PathBuf;

use sentinel_client::api::CheckOutcome;
use sentinel_core::id::ManifestId;
use sentinel_core::principal::Role;
use sentinel_provenance::log::TrustedRoot;
use sentinel_provenance::{
    Bundle, KeyEvents, LogTrust, Outcome as Checked, PublicKey, Salt, Trust, Verification,
};
use serde_json::json;

use crate::client::{Connection, OrExplain as _};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::files::{self, read};
use crate::output::{self, shown};

/// Largest key and bundle that are read, in bytes; both are far smaller.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
/// Largest artifact, in bytes: it is held in memory.
const MAX_ARTIFACT: usize = 1024 * 1024 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Verifies a manifest's bundle offline; needs no server. With the trusted root, also that it
    /// is in the log.
    Verify(Verify),
    /// Shows a manifest and what the server finds when it verifies it.
    Show {
        /// Identifier of the manifest.
        id: uuid::Uuid,
        #[command(flatten)]
        connection: Connection,
    },
    /// Fetches a manifest's bundle.
    Fetch {
        /// Identifier of the manifest.
        id: uuid::Uuid,
        /// Where to; standard output by default.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Fetches the trusted root: what verifiers need to trust the log of this deployment.
    TrustedRoot {
        /// Where to; standard output by default.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Lists, retires and revokes the keys that sign.
    #[command(subcommand)]
    Keys(keys::Command),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The bundle.
    bundle: PathBuf,
    /// A public key that is trusted, PEM; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Bundles of statements about keys: those that a trusted key vouches for are trusted too, and
    /// those that were revoked are not from their revocation on.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "trusted_root")]
    key_events: Vec<PathBuf>,
    /// Trusted root: the logs in one of which the manifest must be.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Who must have cosigned the state of the log, as C2SP tlog-policy has it.
    #[arg(long, value_name = "FILE", requires = "trusted_root")]
    witness_policy: Option<PathBuf>,
    /// The artifact: salt and payload in one file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["payload", "salt"])]
    artifact: Option<PathBuf>,
    /// The payload, to be given with its salt.
    #[arg(long, value_name = "FILE", requires = "salt")]
    payload: Option<PathBuf>,
    /// The salt of the payload, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", requires = "payload")]
    salt: Option<String>,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Verify(verify) => verify.run(json),
        Command::Show { id, connection } => show(id, &connection, json).await,
        Command::Fetch { id, output, connection } => {
            let client = connection.client(Role::Auditor)?;
            let bundle = client.api.bundle(ManifestId(id)).await.or_explain(&client)?;
            deliver(&bundle, output)
        }
        Command::TrustedRoot { output, connection } => {
            let client = connection.client(Role::Auditor)?;
            let root = client.api.trusted_root().await.or_explain(&client)?;
            deliver(&root, output)
        }
        Command::Keys(command) => keys::run(command, json).await,
    }
}

impl Verify {
    fn run(&self, json: bool) -> Outcome {
        let bundle = read(&self.bundle, MAX_DOCUMENT)?;
        let artifact = self.artifact()?;
        let logs = self.logs()?;
        let none = LogTrust { root: TrustedRoot::default(), witnesses: None };
        let events =
            files::key_events(&self.key_events, &self.key, logs.as_ref().unwrap_or(&none))?;
        let key = self.key_of(&bundle, &events)?;
        let told = !self.key_events.is_empty();
        let revocations = told.then(|| events.revocations());
        let certificate = events.certificate(key.hint());
        let trust = Trust { key: &key, logs: logs.as_ref(), certificate, revocations };
        let verification = trust.verify_json(&bundle, artifact.as_deref());
        if json {
            report_json(&verification)?
        } else {
            report(&verification)?
        }
        if verification.verified() { Ok(()) } else { Err(Failure::silent()) }
    }

    /// The trusted key that the bundle names; where it names none, any: the report says so.
    fn key_of(&self, bundle: &[u8], events: &KeyEvents) -> Outcome<PublicKey> {
        let bundle = Bundle::parse(bundle).ok();
        if let Some(key) = bundle.as_ref().and_then(|bundle| events.key(bundle.hint())) {
            return Ok(key.clone());
        }
        let first = self.key.first().ok_or_else(|| Failure::usage("--key is missing"))?;
        files::public_key(first)
    }

    fn logs(&self) -> Outcome<Option<LogTrust>> {
        let Some(path) = &self.trusted_root else { return Ok(None) };
        let witnesses = self.witness_policy.as_deref().map(files::witness_policy).transpose()?;
        Ok(Some(LogTrust { root: files::trusted_root(path)?, witnesses }))
    }

    fn artifact(&self) -> Outcome<Option<Vec<u8>>> {
        if let Some(path) = &self.artifact {
            return read(path, MAX_ARTIFACT).map(Some);
        }
        let (Some(payload), Some(salt)) = (&self.payload, &self.salt) else { return Ok(None) };
        let mut artifact = hex::decode(salt.trim())
            .map_err(|error| Failure::usage(format!("--salt is not hexadecimal: {error}")))?;
        if artifact.len() != Salt::LEN {
            return Err(Failure::usage(format!("--salt has not {} digits", Salt::LEN * 2)));
        }
        artifact.extend(read(payload, MAX_ARTIFACT)?);
        Ok(Some(artifact))
    }
}

fn report_json(verification: &Verification) -> Outcome {
    let statement = verification.statement().map(|statement| statement.predicate());
    output::json(&json!({
        "verified": verification.verified(),
        "checks": verification.checks(),
        "manifest": statement,
    }))
}

fn report(verification: &Verification) -> Outcome {
    verdict(verification.verified())?;
    for check in verification.checks() {
        let outcome = match check.outcome {
            Checked::Passed => CheckOutcome::Passed,
            Checked::Failed => CheckOutcome::Failed,
            Checked::Skipped => CheckOutcome::Skipped,
        };
        show_check(check.name.as_str(), outcome, &check.detail)?;
    }
    let Some(statement) = verification.statement() else { return Ok(()) };
    let action = statement.predicate();
    output::line("")?;
    output::fields(&[
        ("tenant", action.tenant.clone()),
        ("tool", action.tool.clone()),
        ("action", action.action.clone()),
        ("purpose", shown(action.purpose.as_ref())),
        ("agent", shown(action.agent.as_ref())),
        ("principal", action.principal.clone()),
        ("timestamp", format!("{:.3}", action.timestamp)),
    ])?;
    if statement.predicate().is_outcome_of_deny() { denied_outcome() } else { Ok(()) }
}

/// What an auditor must not overlook: the manifest is sound, and the call should not have been
/// made.
fn denied_outcome() -> Outcome {
    output::line("")?;
    let what = "this call was made though it was denied";
    output::line(&format!("{}  {what}", output::styled(output::RED, "warning")))
}

fn verdict(verified: bool) -> Outcome {
    output::line(&if verified {
        output::styled(output::GREEN, "verified")
    } else {
        output::styled(output::RED, "not verified")
    })
}

fn show_check(name: &str, outcome: CheckOutcome, detail: &str) -> Outcome {
    let mark = match outcome {
        CheckOutcome::Passed => output::styled(output::GREEN, "✓"),
        CheckOutcome::Failed => output::styled(output::RED, "✗"),
        CheckOutcome::Skipped => output::styled(output::DIM, "-"),
    };
    output::line(&format!("  {mark} {name:<18}  {}", output::printable(detail)))
}

async fn show(id: uuid::Uuid, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let answer = client.api.verify(ManifestId(id)).await.or_explain(&client)?;
    if json {
        output::json(&answer)?;
    } else {
        verdict(answer.verified)?;
        for check in &answer.checks {
            show_check(&output::printable(&check.name), check.outcome, &check.detail)?;
        }
        let manifest = &answer.manifest;
        output::line("")?;
        output::fields(&[
            ("id", manifest.id.to_string()),
            ("timestamp", manifest.timestamp.to_string()),
            ("tenant", shown(manifest.tenant.as_ref())),
            ("tool", manifest.tool.clone()),
            ("action", manifest.action.clone()),
            ("purpose", shown(manifest.purpose.as_ref())),
            ("payload_hash", manifest.payload_hash.clone()),
        ])?;
        if manifest.phase.as_deref() == Some("outcome") && manifest.decision_allow == Some(false) {
            denied_outcome()?;
        }
    }
    if answer.verified { Ok(()) } else { Err(Failure::silent()) }
}

/// Writes a document to a file or to standard output.
fn deliver(document: &[u8], to: Option<PathBuf>) -> Outcome {
    match to {
        Some(path) => {
            std::fs::write(&path, document).or_fail(|| format!("cannot write `{}`", path.display()))
        }
        None => output::line(&String::from_utf8_lossy(document)),
    }
}
