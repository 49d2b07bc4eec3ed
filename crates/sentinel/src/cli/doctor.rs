//! `sentinel doctor`: finds out what is wrong with a server on this machine, and what to do about
//! it. It changes nothing, and advises nothing that removes a key.

mod data_dir;
mod deployment;

use std::path::{Path, PathBuf};

use jiff::{Timestamp, civil};
use sentinel_core::principal::Role;
use serde_json::json;

use crate::client::{Connection, OrExplain as _};
use crate::dev::data_dir::DataDir;
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Configuration of `sentinel serve`: looks at what that names, in place of a data directory.
    #[arg(long, env = "SENTINEL_CONFIG", value_name = "FILE", conflicts_with = "policies")]
    config: Option<PathBuf>,
    /// Policies in place of those in the data directory.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, ok: true, detail: detail.into(), fix: None }
    }

    fn bad(check: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into()).filter(|fix: &String| !fix.is_empty());
        Self { check, ok: false, detail: detail.into(), fix }
    }

    /// A failure, with all that it says.
    fn failed(check: &'static str, failure: &Failure) -> Self {
        let (what, help) = failure.summary();
        Self::bad(check, what, help)
    }
}

/// Whether something exists; what cannot be looked at neither exists nor is missing.
enum Presence {
    There,
    Missing,
    Unknown(std::io::Error),
}

impl Presence {
    fn of(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(_) => Self::There,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::Missing,
            Err(error) => Self::Unknown(error),
        }
    }
}

/// What to do about what cannot be read.
const LET_READ: &str = "run this as the user that runs the server, who has to be able to read it";

/// The finding about something that could not be looked at.
fn unseen(check: &'static str, path: &Path, error: &std::io::Error) -> Finding {
    Finding::bad(check, format!("cannot look at `{}`: {error}", path.display()), LET_READ)
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let mut findings = Vec::new();
    let connection = match &args.config {
        Some(config) => {
            let (found, listen) = deployment::look(config).await;
            findings.extend(found);
            args.connection.for_deployment(listen)
        }
        None => Some(args.connection.clone()),
    };
    let running = match &connection {
        Some(connection) => server(connection, args.config.as_deref()).await,
        None => Finding::good("server", "where it listens is not known: give its --url"),
    };
    if args.config.is_none() {
        let dir = DataDir::at(args.connection.data_dir());
        findings.extend(data_dir::look(&dir, args.policies, running.ok));
    }
    findings.push(clock(Timestamp::now()));
    let is_ready = running.detail.ends_with("ready");
    findings.push(running);
    if let Some(connection) = connection.filter(|_| is_ready) {
        findings.extend(policy_in_force(&connection).await);
        findings.extend(kill_switch(&connection, Timestamp::now()).await);
    }
    let healthy = findings.iter().all(|finding| finding.ok);
    if json {
        output::json(&json!({ "healthy": healthy, "findings": findings }))?;
    } else {
        findings.iter().try_for_each(show)?;
    }
    if healthy { Ok(()) } else { Err(Failure::silent()) }
}

fn show(finding: &Finding) -> Outcome {
    let mark = if finding.ok {
        output::styled(output::GREEN, "✓")
    } else {
        output::styled(output::RED, "✗")
    };
    output::line(&format!("{mark} {:<12} {}", finding.check, output::printable(&finding.detail)))?;
    match &finding.fix {
        Some(fix) => output::line(&format!("  {:<12} fix: {}", "", output::printable(fix))),
        None => Ok(()),
    }
}

/// Quotas and permits depend on the time, so a clock that is far off is reported.
fn clock(now: Timestamp) -> Finding {
    const CHECK: &str = "clock";
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).date().year();
    let plausible = civil::Date::constant(2026, 1, 1).year()..2100;
    if plausible.contains(&year) {
        Finding::good(CHECK, format!("{now}"))
    } else {
        Finding::bad(CHECK, format!("{now} cannot be right"), "set it, for instance by NTP")
    }
}

/// Time after which a server that tests its kill switch each minute has failed to.
const SELF_TEST_LATE: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// What the running server found when it last tried whether a kill stops a call; nothing when none
/// runs.
async fn kill_switch(connection: &Connection, now: Timestamp) -> Option<Finding> {
    const CHECK: &str = "kill switch";
    let fix = "look at the log of the server, and do not rely on kills at it until this passes";
    let readiness = connection.client(Role::Auditor).ok()?.api.readiness().await?;
    let document = &readiness.document;
    let failed = document.get("reasons").and_then(|reasons| reasons.as_array());
    if failed.is_some_and(|reasons| reasons.iter().any(|reason| reason == "kill_switch_failed")) {
        let detail = "a kill did not stop a call in the self-test of the server";
        return Some(Finding::bad(CHECK, detail, fix));
    }
    let test = document.get("kill_self_test").filter(|_| readiness.is_ready)?;
    let passed = test.get("passed_at").and_then(|time| time.as_str()?.parse::<Timestamp>().ok());
    Some(match passed {
        Some(at) if now.duration_since(at) <= SELF_TEST_LATE => {
            Finding::good(CHECK, format!("a kill stopped a call in the self-test of {at}"))
        }
        Some(at) => Finding::bad(CHECK, format!("no self-test has passed since {at}"), fix),
        None if test.get("outcome").is_some() => {
            Finding::bad(CHECK, "the self-test could not be made", fix)
        }
        None => Finding::good(CHECK, "not tried yet; the server tests it once a minute"),
    })
}

/// Whether the server answers and is ready; if none is there, whether its port is free.
async fn server(connection: &Connection, config: Option<&Path>) -> Finding {
    const CHECK: &str = "server";
    let url = &connection.url;
    let client = match connection.client(Role::Auditor) {
        Ok(client) => client,
        Err(failure) => return Finding::failed(CHECK, &failure),
    };
    match client.api.readiness().await.map(|readiness| readiness.is_ready) {
        Some(true) => Finding::good(CHECK, format!("`{url}` is ready")),
        Some(false) => Finding::bad(
            CHECK,
            format!("`{url}` answers but is not ready"),
            "look at its log; its store or policy is missing, or it is stopping",
        ),
        None => match (connection.port_is_free().await, config) {
            (true, None) => {
                Finding::good(CHECK, format!("`{url}` is free; `sentinel dev` can listen there"))
            }
            (true, Some(_)) => {
                Finding::good(CHECK, format!("nothing listens at `{url}`: no server is running"))
            }
            (false, None) => Finding::bad(
                CHECK,
                format!("something that is not sentinel listens at `{url}`"),
                "sentinel dev --listen 127.0.0.1:0 picks a free port",
            ),
            (false, Some(_)) => Finding::bad(
                CHECK,
                format!("something that is not sentinel listens at `{url}`"),
                "stop what listens there, or set `listen` to another address",
            ),
        },
    }
}

/// What the running server says of its policy: it may have refused one that is not on this machine.
async fn policy_in_force(connection: &Connection) -> Option<Finding> {
    const CHECK: &str = "in force";
    let client = connection.client(Role::Auditor).ok()?;
    let policy = match client.api.policy_status().await.or_explain(&client) {
        Ok(policy) => policy,
        Err(failure) => {
            let (what, help) = failure.summary();
            let detail = format!("the server was not asked for its policy: {what}; {help}");
            return Some(Finding::good(CHECK, detail));
        }
    };
    let fix = "correct the policy; `sentinel policy check DIR` says what is wrong with it, and \
                `sentinel policy log` when it was refused";
    Some(match (&policy.revision, &policy.error) {
        (None, why) => {
            let why = why.as_deref().unwrap_or("none was loaded");
            Finding::bad(CHECK, format!("no policy decides, so every check is denied: {why}"), fix)
        }
        (Some(revision), None) => {
            Finding::good(CHECK, format!("policy revision {revision} decides"))
        }
        (Some(revision), Some(why)) => {
            let since = output::shown(policy.refused_at.as_ref());
            let detail = format!("revision {revision} decides; refused since {since}: {why}");
            Finding::bad(CHECK, detail, fix)
        }
    })
}
