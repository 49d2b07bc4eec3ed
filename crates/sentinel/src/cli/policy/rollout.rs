//! `sentinel policy rollout`: a candidate policy beside the one that decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sentinel_core::principal::Role;
use sentinel_policy_analysis::PolicySource;
use serde_json::{Value, json};

use crate::cli::policy::Version;
use crate::client::{Connection, request, text};
use crate::failure::{Failure, Outcome};
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
    /// Shows what the candidate answers otherwise.
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
            let body = request(json!({
                "files": files(&dir, version)?, "percent": percent, "reason": step.reason,
                "tenants": (!tenant.is_empty()).then_some(tenant),
            }));
            let path = ["v1", "policy", "rollout"];
            let answer = step.connection.client(Role::Author)?.post(&path, &body).await?;
            if json {
                return output::json(&answer);
            }
            output::line(&format!("monitored  {}", text(&answer, "revision")))?;
            let warnings = answer.get("warnings").and_then(Value::as_array);
            warnings.into_iter().flatten().filter_map(Value::as_str).try_for_each(|warning| {
                output::line(&format!("  warning: {}", output::printable(warning)))
            })
        }
        Command::Status { connection } => {
            let answer =
                connection.client(Role::Author)?.get(&["v1", "policy", "rollout"], &[]).await?;
            if json { output::json(&answer) } else { show(&answer) }
        }
        Command::Promote(step) => {
            let before = step.before().await?;
            if before.monitored.is_none() {
                return Err(none_monitored());
            }
            let answer = step.send("promote").await?;
            if json {
                return output::json(&answer);
            }
            output::line(&format!("promoted  {}", text(&answer, "revision")))
        }
        Command::Drop(step) => {
            let before = step.before().await?;
            if before.monitored.is_none() && before.promoted.is_none() {
                return Err(none_monitored());
            }
            let answer = step.send("drop").await?;
            if json { output::json(&answer) } else { step.dropped(&before).await }
        }
    }
}

/// The revisions of the candidates that there are.
struct Before {
    monitored: Option<String>,
    promoted: Option<String>,
}

fn none_monitored() -> Failure {
    Failure::new("no candidate is monitored").help("start one: `sentinel policy rollout start DIR`")
}

impl Step {
    async fn before(&self) -> Outcome<Before> {
        let client = self.connection.client(Role::Author)?;
        let answer = client.get(&["v1", "policy", "rollout"], &[]).await?;
        let of = |name| {
            let rollout = answer.get(name).filter(|rollout: &&Value| rollout.is_object());
            rollout.map(|rollout| text(rollout, "revision"))
        };
        Ok(Before { monitored: of("monitored"), promoted: of("promoted") })
    }

    /// Says what became of it: to give a candidate up changes no decision, to take one back does.
    async fn dropped(&self, before: &Before) -> Outcome {
        let client = self.connection.client(Role::Author)?;
        // It is over, whether or not the server says what decides now.
        let policy = client.get(&["v1", "policy"], &[]).await.unwrap_or_default();
        let decides = match text(&policy, "revision") {
            revision if revision.is_empty() => "the source's policy".to_owned(),
            revision => revision,
        };
        let line = match (&before.monitored, &before.promoted) {
            (Some(monitored), _) => {
                format!("dropped {monitored}, which was monitored; {decides} decides as before")
            }
            (None, promoted) => {
                let promoted = promoted.as_deref().unwrap_or_default();
                format!("taken back {promoted}; {decides} decides again")
            }
        };
        output::line(&output::printable(&line))
    }

    async fn send(&self, step: &str) -> Outcome<Value> {
        let body = request(json!({"reason": self.reason}));
        let client = self.connection.client(Role::Author)?;
        client.post(&["v1", "policy", "rollout", step], &body).await
    }
}

fn files(dir: &Path, version: Version) -> Outcome<BTreeMap<String, String>> {
    super::directory(dir)?;
    let source = PolicySource::read(dir, &version.limits());
    let source = source.map_err(|error| Failure::new(error.to_string()))?;
    Ok(source.files().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
}

fn show(answer: &Value) -> Outcome {
    let rollout = |name| answer.get(name).filter(|rollout: &&Value| rollout.is_object());
    if let Some(promoted) = rollout("promoted") {
        output::line(&format!("promoted  {}", text(promoted, "revision")))?;
    }
    let Some(monitored) = rollout("monitored") else {
        return output::line("no candidate is monitored");
    };
    output::line(&format!("monitored  {}", text(monitored, "revision")))?;
    let nothing = Value::Null;
    let compared = monitored.get("comparison").unwrap_or(&nothing);
    let tenants = monitored.get("tenants").and_then(Value::as_array);
    let tenants: Vec<&str> = tenants.into_iter().flatten().filter_map(Value::as_str).collect();
    let of = if tenants.is_empty() { "all tenants".to_owned() } else { tenants.join(", ") };
    output::fields(&[
        ("compares", format!("{} % of the calls of {of}", text(monitored, "percent"))),
        ("agreed", text(compared, "agreed")),
        ("newly allowed", text(compared, "newly_allowed")),
        ("newly denied", text(compared, "newly_denied")),
        ("otherwise", text(compared, "otherwise")),
        ("errors", text(compared, "errors")),
        ("dropped", text(compared, "dropped")),
    ])?;
    let mut table = Table::new(&["time", "tenant", "tool", "decided", "candidate", "decision"]);
    let examples = compared.get("examples").and_then(Value::as_array);
    let examples: Vec<&Value> = examples.into_iter().flatten().take(10).collect();
    for example in &examples {
        table.row(vec![
            text(example, "at"),
            text(example, "tenant"),
            text(example, "tool"),
            side(example.get("decided")),
            side(example.get("candidate")),
            text(example, "decision_id"),
        ]);
    }
    if examples.is_empty() { Ok(()) } else { table.print("") }
}

/// `deny quota_exceeded`.
fn side(answer: Option<&Value>) -> String {
    let Some(answer) = answer else { return String::new() };
    let allow = answer.get("allow").and_then(Value::as_bool).unwrap_or(false);
    let reasons = answer.get("reasons").and_then(Value::as_array);
    let reasons: Vec<&str> = reasons.into_iter().flatten().filter_map(Value::as_str).collect();
    let error = text(answer, "error");
    let why = if error.is_empty() { reasons.join(", ") } else { error };
    format!("{} {why}", if allow { "allow" } else { "deny" }).trim_end().to_owned()
}
