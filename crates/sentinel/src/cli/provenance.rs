//! `sentinel provenance`: manifests, verified offline or fetched from a server.

mod keys;

use std::path::PathBuf;

use sentinel_core::principal::Role;
use sentinel_provenance::log::TrustedRoot;
use sentinel_provenance::{Bundle, KeyEvents, LogTrust, PublicKey, Salt, Trust, Verification};
use serde_json::{Value, json};

use crate::client::{Connection, text};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::files::{self, read};
use crate::output;

/// Largest key and bundle that are read, in bytes; both are far smaller.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
/// Largest artifact, in bytes: it is held in memory.
const MAX_ARTIFACT: usize = 1024 * 1024 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Verifies a manifest's bundle offline; needs no server. With the trusted root, also that it is
    /// in the log.
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
            fetch(&["v1", "manifests", &id.to_string(), "bundle"], output, &connection).await
        }
        Command::TrustedRoot { output, connection } => {
            fetch(&["v1", "trusted-root"], output, &connection).await
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
        let check = json!(check);
        show_check(&check)?;
    }
    let Some(statement) = verification.statement() else { return Ok(()) };
    let manifest = json!(statement.predicate());
    let shown = ["tenant", "tool", "action", "purpose", "agent", "principal", "timestamp"];
    output::line("")?;
    output::fields(&shown.map(|field| (field, text(&manifest, field))))?;
    if statement.predicate().is_outcome_of_deny() { denied_outcome() } else { Ok(()) }
}

/// What an auditor must not overlook: the manifest is sound, and the call should not have been made.
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

fn show_check(check: &Value) -> Outcome {
    let mark = match text(check, "outcome").as_str() {
        "passed" => output::styled(output::GREEN, "✓"),
        "failed" => output::styled(output::RED, "✗"),
        _ => output::styled(output::DIM, "-"),
    };
    let (name, detail) = (text(check, "name"), text(check, "detail"));
    output::line(&format!("  {mark} {name:<18}  {}", output::printable(&detail)))
}

async fn show(id: uuid::Uuid, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let answer = client.get(&["provenance", "verify", &id.to_string()], &[]).await?;
    let verified = answer.get("verified") == Some(&Value::Bool(true));
    if json {
        output::json(&answer)?;
    } else {
        verdict(verified)?;
        for check in answer.get("checks").and_then(Value::as_array).into_iter().flatten() {
            show_check(check)?;
        }
        let manifest = answer.get("manifest").unwrap_or(&Value::Null);
        let shown = ["id", "timestamp", "tenant", "tool", "action", "purpose", "payload_hash"];
        output::line("")?;
        output::fields(&shown.map(|field| (field, text(manifest, field))))?;
        if text(manifest, "phase") == "outcome"
            && manifest.get("decision_allow") == Some(&Value::Bool(false))
        {
            denied_outcome()?;
        }
    }
    if verified { Ok(()) } else { Err(Failure::silent()) }
}

async fn fetch(path: &[&str], to: Option<PathBuf>, connection: &Connection) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let document = client.bytes(path).await?;
    match to {
        Some(path) => {
            std::fs::write(&path, document).or_fail(|| format!("cannot write `{}`", path.display()))
        }
        None => output::line(&String::from_utf8_lossy(&document)),
    }
}
