//! `sentinel doctor`: finds out what is wrong with `sentinel dev` on this machine.

use std::path::PathBuf;

use jiff::{Timestamp, civil};
use sentinel_core::principal::Role;
use sentinel_policy::{SourceLimits, Vetter};
use sentinel_store_sqlite::SqliteStore;
use serde_json::json;

use crate::client::Connection;
use crate::dev::data_dir::DataDir;
use crate::dev::keys;
use crate::failure::{Failure, Outcome};
use crate::node::is_held;
use crate::{output, signing_key};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
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
    mend: Option<String>,
}

impl Finding {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, ok: true, detail: detail.into(), mend: None }
    }

    fn bad(check: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, ok: false, detail: detail.into(), mend: Some(mend.into()) }
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let dir = DataDir::at(args.connection.data_dir());
    let running = server(&args.connection).await;
    let mut findings = vec![data_dir(&dir)];
    if dir.path().is_dir() {
        findings.extend([signing(&dir), api_keys(&dir), database(&dir, running.ok)]);
    }
    findings.extend([policy(&dir, args.policies), clock(Timestamp::now()), running]);
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
    match &finding.mend {
        Some(mend) => output::line(&format!("  {:<12} mend: {}", "", output::printable(mend))),
        None => Ok(()),
    }
}

fn data_dir(dir: &DataDir) -> Finding {
    const CHECK: &str = "data dir";
    let path = dir.path().display();
    match dir.exposed() {
        Ok(None) => Finding::good(CHECK, format!("`{path}` is yours alone")),
        Ok(Some(mode)) => Finding::bad(
            CHECK,
            format!("`{path}` is open to others (mode {mode:04o})"),
            format!("chmod 700 '{path}'"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good(CHECK, format!("`{path}` does not exist yet; `sentinel dev` makes it"))
        }
        Err(error) => {
            Finding::bad(CHECK, format!("`{path}`: {error}"), "choose another with --data-dir")
        }
    }
}

fn signing(dir: &DataDir) -> Finding {
    const CHECK: &str = "signing key";
    let path = dir.signing_key();
    if !path.exists() {
        return Finding::good(CHECK, "not made yet; the first start makes it");
    }
    match signing_key::load(&path) {
        Ok(_) => Finding::good(CHECK, format!("`{}` can be used", path.display())),
        Err(error) => {
            let mend = error.mend().unwrap_or_else(|| {
                "restore the key from a backup; a new one cannot vouch for old manifests".to_owned()
            });
            Finding::bad(CHECK, error.to_string(), mend)
        }
    }
}

fn api_keys(dir: &DataDir) -> Finding {
    const CHECK: &str = "API keys";
    let path = dir.keys();
    match keys::read(&path) {
        Ok(Some(found)) => Finding::good(CHECK, format!("{} in `{}`", found.len(), path.display())),
        Ok(None) => Finding::good(CHECK, "not made yet; the next start makes them"),
        Err(_) => Finding::bad(
            CHECK,
            format!("`{}` cannot be read", path.display()),
            "remove it; the next start makes new keys",
        ),
    }
}

fn database(dir: &DataDir, server_runs: bool) -> Finding {
    const CHECK: &str = "database";
    let path = dir.database();
    let shown = path.display();
    if !path.exists() {
        return Finding::good(CHECK, "not made yet; the first start makes it");
    }
    match SqliteStore::open(&path) {
        Ok(_) => Finding::good(CHECK, format!("`{shown}` opens and its schema is current")),
        Err(error) if is_held(&error) => {
            let detail = format!("`{shown}` is open in another process");
            if server_runs {
                Finding::good(CHECK, detail)
            } else {
                Finding::bad(
                    CHECK,
                    detail,
                    "that server does not answer: stop it, or give its --url",
                )
            }
        }
        Err(error) => Finding::bad(
            CHECK,
            error.to_string(),
            format!("restore `{shown}` from a backup, or move it away to begin anew"),
        ),
    }
}

fn policy(dir: &DataDir, asked: Option<PathBuf>) -> Finding {
    const CHECK: &str = "policies";
    let path = asked.unwrap_or_else(|| dir.policies());
    let shown = path.display();
    if !path.exists() {
        return Finding::good(CHECK, "not written yet; the first start writes the shipped ones");
    }
    let vetted = Vetter::own()
        .map_err(|error| error.to_string())
        .and_then(|vetter| vetter.vet(&path, &SourceLimits::default()).map_err(|e| e.to_string()));
    match vetted {
        Ok(vetted) => Finding::good(
            CHECK,
            format!("`{shown}` is sound, revision {}", vetted.source().revision()),
        ),
        Err(error) => {
            Finding::bad(CHECK, error, format!("correct it, then: sentinel policy check '{shown}'"))
        }
    }
}

/// Quotas and permits depend on the time, so a clock that is far off is worth a word.
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

/// Whether the server answers and is ready; if none is there, whether its port is free.
async fn server(connection: &Connection) -> Finding {
    const CHECK: &str = "server";
    let url = &connection.url;
    let client = match connection.client(Role::Auditor) {
        Ok(client) => client,
        Err(_) => return Finding::bad(CHECK, format!("`{url}` is no address"), "correct --url"),
    };
    match client.readiness().await {
        Some(true) => Finding::good(CHECK, format!("`{url}` is ready")),
        Some(false) => Finding::bad(
            CHECK,
            format!("`{url}` answers but is not ready"),
            "look at its log; its store or policy is missing, or it is stopping",
        ),
        None => match connection.port_is_free().await {
            true => {
                Finding::good(CHECK, format!("`{url}` is free; `sentinel dev` can listen there"))
            }
            false => Finding::bad(
                CHECK,
                format!("something that is not sentinel listens at `{url}`"),
                "sentinel dev --listen 127.0.0.1:0 picks a free port",
            ),
        },
    }
}
