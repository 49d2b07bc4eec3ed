//! `sentinel policy rollout`: a candidate policy beside the one that decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sentinel_client::api::{PolicyRollouts, RolloutRequest, RolloutSide, RolloutStep};
use sentinel_core::name::{Reason, TenantSlug};
use sentinel_core::principal::Role;
use sentinel_core::rollout::Percent;
use sentinel_policy_analysis::PolicySource;

use super::source::{Version, directory};
use crate::client::{Client, Connection, OrExplain as _, name, name_if};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Has a candidate compared with what decides, without influence on any decision.
    Start {
        /// Directory with `*.rego` and data.
        dir: PathBuf,
        /// Compares the calls of this tenant only; may be repeated.
        #[arg(long, value_name = "SLUG")]
        tenant: Vec<String>,
        /// Compares this share of the calls, 1 to 100.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: Option<u8>,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        step: Step,
    },
    /// Shows where the candidate decides differently.
    Status {
        #[command(flatten)]
        connection: Connection,
    },
    /// Lets the candidate decide, on all servers, until the source brings something else.
    Promote(Step),
    /// Gives the candidate up; when none is compared, takes the promoted one back.
    Drop(Step),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Step {
    /// Why; kept in the record of changes.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Start { dir, tenant, percent, version, step } => {
            let tenants = tenant.iter().map(|slug| name("--tenant", slug));
            let request = RolloutRequest {
                files: files(&dir, version)?,
                tenants: tenants.collect::<Outcome<_>>()?,
                percent: percent
                    .map(Percent::try_from)
                    .transpose()
                    .or_fail(|| "--percent".to_owned())?,
                reason: step.reason()?,
            };
            let client = step.connection.client(Role::Author)?;
            let started = client.api.start_rollout(&request).await.or_explain(&client)?;
            if json {
                return output::json(&started);
            }
            output::line(&format!("monitored  {}", started.rollout.revision))?;
            started.warnings.iter().try_for_each(|warning| {
                output::line(&format!("  warning: {}", output::printable(warning)))
            })
        }
        Command::Status { connection } => {
            let client = connection.client(Role::Author)?;
            let rollouts = client.api.rollouts().await.or_explain(&client)?;
            if json { output::json(&rollouts) } else { show(&rollouts) }
        }
        Command::Promote(step) => {
            let client = step.connection.client(Role::Author)?;
            let before = client.api.rollouts().await.or_explain(&client)?;
            if before.monitored.is_none() {
                return Err(none_monitored());
            }
            let promoted = client.api.promote_rollout(&step.request()?).await;
            let promoted = promoted.or_explain(&client)?;
            if json {
                return output::json(&promoted);
            }
            output::line(&format!("promoted  {}", promoted.revision))
        }
        Command::Drop(step) => {
            let client = step.connection.client(Role::Author)?;
            let before = client.api.rollouts().await.or_explain(&client)?;
            if before.monitored.is_none() && before.promoted.is_none() {
                return Err(none_monitored());
            }
            client.api.drop_rollout(&step.request()?).await.or_explain(&client)?;
            if json { output::json(&()) } else { dropped(&client, &before).await }
        }
    }
}

fn none_monitored() -> Failure {
    Failure::new("no candidate is monitored").help("start one: `sentinel policy rollout start DIR`")
}

impl Step {
    fn reason(&self) -> Outcome<Option<Reason>> {
        name_if("--reason", self.reason.as_ref())
    }

    fn request(&self) -> Outcome<RolloutStep> {
        Ok(RolloutStep { rollout_id: None, reason: self.reason()? })
    }
}

/// Says what became of it: to give a candidate up changes no decision, to take one back does.
async fn dropped(client: &Client, before: &PolicyRollouts) -> Outcome {
    // It is over, whether or not the server says what decides now.
    let policy = client.api.policy_status().await.ok();
    let decides = policy.and_then(|policy| policy.revision);
    let decides = decides.unwrap_or_else(|| "the source's policy".to_owned());
    let line = match (&before.monitored, &before.promoted) {
        (Some(monitored), _) => {
            let revision = &monitored.revision;
            format!("dropped {revision}, which was monitored; {decides} decides as before")
        }
        (None, promoted) => {
            let revision = promoted.as_ref().map_or("", |promoted| &promoted.revision);
            format!("taken back {revision}; {decides} decides again")
        }
    };
    output::line(&output::printable(&line))
}

fn files(dir: &Path, version: Version) -> Outcome<BTreeMap<String, String>> {
    directory(dir)?;
    let source = PolicySource::read(dir, &version.limits());
    let source = source.map_err(|error| Failure::new(error.to_string()))?;
    Ok(source.files().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
}

fn show(rollouts: &PolicyRollouts) -> Outcome {
    if let Some(promoted) = &rollouts.promoted {
        output::line(&format!("promoted  {}", promoted.revision))?;
    }
    let Some(monitored) = &rollouts.monitored else {
        return output::line("no candidate is monitored");
    };
    output::line(&format!("monitored  {}", monitored.revision))?;
    let tenants: Vec<&str> = monitored.tenants.iter().map(TenantSlug::as_str).collect();
    let of = if tenants.is_empty() { "all tenants".to_owned() } else { tenants.join(", ") };
    let compares = format!("{} % of the calls of {of}", monitored.percent);
    let Some(comparison) = &monitored.comparison else {
        return output::fields(&[("compares", compares)]);
    };
    output::fields(&[
        ("compares", compares),
        ("agreed", comparison.agreed.to_string()),
        ("newly allowed", comparison.newly_allowed.to_string()),
        ("newly denied", comparison.newly_denied.to_string()),
        ("otherwise", comparison.otherwise.to_string()),
        ("errors", comparison.errors.to_string()),
        ("dropped", comparison.dropped.to_string()),
    ])?;
    if comparison.examples.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["time", "tenant", "tool", "decided", "candidate", "decision"]);
    for example in comparison.examples.iter().take(10) {
        table.row(vec![
            example.at.to_string(),
            example.tenant.clone(),
            example.tool.clone(),
            side(&example.decided),
            side(&example.candidate),
            example.decision_id.to_string(),
        ]);
    }
    table.print("")
}

/// `deny quota_exceeded`.
fn side(side: &RolloutSide) -> String {
    let why = side.error.clone().unwrap_or_else(|| side.reasons.join(", "));
    format!("{} {why}", if side.allow { "allow" } else { "deny" }).trim_end().to_owned()
}
