//! `sentinel audit`: the archived months of decisions.

use jiff::Timestamp;
use sentinel_archive::{Archive, ArchiveError, Manifest, Month};
use sentinel_core::audit::DecisionRecord;
use sentinel_core::name::{AgentName, TenantSlug, ToolName};
use serde_json::json;

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the months that are archived.
    List(Place),
    /// Reads whole months and compares them with their manifests.
    Verify(Verify),
    /// Prints decisions of one month, in the order in which they were committed.
    Read(Read),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Where the archive is: `file:///directory` or `s3://bucket/folder`.
    #[arg(long, env = "SENTINEL_AUDIT_ARCHIVE_URL", value_name = "URL")]
    archive: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    place: Place,
    /// Only this month, such as 2026-05; otherwise all of them.
    #[arg(long)]
    month: Option<Month>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Read {
    #[command(flatten)]
    place: Place,
    /// Such as 2026-05.
    #[arg(long)]
    month: Month,
    /// Only those of one tenant.
    #[arg(long)]
    tenant: Option<TenantSlug>,
    /// Only those about one tool.
    #[arg(long)]
    tool: Option<ToolName>,
    /// Only those about one agent.
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only allows, or only denies.
    #[arg(long)]
    decision: Option<Decision>,
    /// Not before this time, such as 2026-05-22T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Decision {
    Allow,
    Deny,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::List(place) => list(&place.open()?, json).await,
        Command::Verify(args) => verify(&args.place.open()?, args.month, json).await,
        Command::Read(args) => read(&args.place.open()?, &args, json).await,
    }
}

impl Place {
    fn open(&self) -> Outcome<Archive> {
        Archive::open(&self.archive, crate::environment::variables())
            .map_err(|error| Failure::usage(format!("the archive cannot be used: {error}")))
    }
}

fn reading() -> String {
    "cannot read the archive".to_owned()
}

async fn list(archive: &Archive, json: bool) -> Outcome {
    let mut manifests = Vec::new();
    for month in archive.months().await.or_fail(reading)? {
        manifests.extend(archive.manifest(month).await.or_fail(reading)?);
    }
    if json {
        return output::json(&manifests);
    }
    let headings =
        ["month", "decisions", "allowed", "denied", "tenants", "parts", "bytes", "made", "by"];
    let mut table = Table::new(&headings);
    for Manifest { month, content, parts, made, .. } in manifests {
        let stored: u64 = parts.iter().map(|part| part.compressed_bytes).sum();
        table.row(vec![
            month.to_string(),
            content.count.to_string(),
            content.allowed.to_string(),
            content.denied.to_string(),
            content.tenants.len().to_string(),
            parts.len().to_string(),
            stored.to_string(),
            made.at.to_string(),
            made.by,
        ]);
    }
    table.print("no month is archived")
}

/// Verifies every month that is asked for, and fails at the end when one of them is not intact.
async fn verify(archive: &Archive, month: Option<Month>, json: bool) -> Outcome {
    let months = match month {
        Some(month) => vec![month],
        None => archive.months().await.or_fail(reading)?,
    };
    if months.is_empty() && !json {
        return output::line("no month is archived");
    }
    let (mut results, mut failed, mut unread) = (Vec::new(), 0, 0);
    for month in months {
        let verified = archive.verify(month).await;
        match &verified {
            Ok(_) => {}
            // It says nothing about what is archived.
            Err(ArchiveError::Storage(_)) => unread += 1,
            Err(_) => failed += 1,
        }
        if json {
            results.push(match verified {
                Ok(Manifest { content, .. }) => {
                    json!({ "month": month, "verified": true, "content": content })
                }
                Err(error) => {
                    json!({ "month": month, "verified": false, "problem": error.to_string() })
                }
            });
            continue;
        }
        let line = match verified {
            Ok(Manifest { content, .. }) => {
                let mark = output::styled(output::GREEN, "intact");
                format!("{mark}   {month}  {} decisions", content.count)
            }
            Err(error) => {
                let storage = matches!(error, ArchiveError::Storage(_));
                let mark = if storage { "unread " } else { "refused" };
                let mark = output::styled(output::RED, mark);
                format!("{mark}  {month}  {}", output::printable(&error.to_string()))
            }
        };
        output::line(&line)?;
    }
    if json {
        output::json(&results)?;
    }
    verdict(failed, unread)
}

fn verdict(failed: u32, unread: u32) -> Outcome {
    let failed = match failed {
        0 => None,
        1 => Some("1 month is not what its manifest says".to_owned()),
        _ => Some(format!("{failed} months are not what their manifests say")),
    };
    let unread = match unread {
        0 => None,
        1 => Some("1 month could not be read".to_owned()),
        _ => Some(format!("{unread} months could not be read")),
    };
    let problems: Vec<_> = failed.into_iter().chain(unread).collect();
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(problems.join(", and "))) }
}

async fn read(archive: &Archive, args: &Read, json: bool) -> Outcome {
    let manifest = archive.manifest(args.month).await.or_fail(reading)?;
    let manifest =
        manifest.ok_or_else(|| Failure::new(format!("`{}` is not archived", args.month)))?;
    let mut records = archive.read(manifest);
    if !json {
        let headings = ["TIME", "DECISION", "TENANT", "TOOL", "CODE", "AGENT", "REASON"];
        output::line(&columns(headings))?;
    }
    while let Some((entries, rest)) = records.next().await.or_fail(reading)? {
        for entry in entries.iter().filter(|entry| args.wants(&entry.record)) {
            if json {
                output::line(&output::escape_json(&entry.line))?;
            } else {
                output::line(&row(&entry.record))?;
            }
        }
        records = rest;
    }
    Ok(())
}

impl Read {
    fn wants(&self, record: &DecisionRecord) -> bool {
        let verdict = if record.allow { Decision::Allow } else { Decision::Deny };
        self.tenant.as_ref().is_none_or(|tenant| *tenant == record.tenant)
            && self.tool.as_ref().is_none_or(|tool| *tool == record.tool)
            && self.agent.as_ref().is_none_or(|agent| Some(agent) == record.agent.as_ref())
            && self.decision.is_none_or(|decision| decision == verdict)
            && self.from.is_none_or(|from| from <= record.created_at)
            && self.to.is_none_or(|to| record.created_at < to)
    }
}

fn row(record: &DecisionRecord) -> String {
    columns([
        &record.created_at.to_string(),
        if record.allow { "allow" } else { "deny" },
        record.tenant.as_str(),
        record.tool.as_str(),
        record.code.as_str(),
        record.agent.as_ref().map_or("", AsRef::as_ref),
        &record.reason,
    ])
}

/// A row of columns that are as wide as they usually need to be: how wide the widest cell is, is
/// not known before the end.
fn columns(cells: [&str; 7]) -> String {
    let [time, decision, tenant, tool, code, agent, reason] = cells.map(output::printable);
    format!(
        "{time:<27}  {decision:<8}  {tenant:<16}  {tool:<20}  {code:<20}  {agent:<16}  {reason}"
    )
    .trim_end()
    .to_owned()
}
