//! `sentinel decisions`: the audit.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use sentinel_client::api::{CheckedEvent, EventLine, Verdict};
use sentinel_client::{DecisionFilter, StreamEvent, Streamed};
use sentinel_core::principal::Role;

use crate::client::{Client, Connection, OrExplain as _};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table, shown};

/// The event of a check that was allowed.
const ALLOW: &str = "policy.check.allow";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of one tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only those about one tool.
    #[arg(long)]
    tool: Option<String>,
    /// Only those about one agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only allows.
    #[arg(long, conflicts_with = "denied")]
    allowed: bool,
    /// Only denies.
    #[arg(long)]
    denied: bool,
    /// Only those with this reason code.
    #[arg(long)]
    code: Option<String>,
    /// Not before this time, such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// At most so many, newest first.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Shows decisions as they are made.
    #[arg(long, conflicts_with_all = ["export", "from", "to", "limit"])]
    follow: bool,
    /// Writes all of them to a file, one JSON object a line; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "limit")]
    export: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    if args.follow {
        // The agent's role hears events too; the auditor's reads what is recorded.
        return follow(&args.connection.client(Role::Auditor)?, &args, json).await;
    }
    let client = args.connection.client(Role::Auditor)?;
    if let Some(path) = &args.export {
        return export(&client, &args, path).await;
    }
    let decisions = client.api.decisions(&args.filter()).collect(args.limit).await;
    let decisions = decisions.or_explain(&client)?;
    if json {
        return output::json(&decisions);
    }
    let headings = ["time", "decision", "tenant", "tool", "code", "agent", "reason"];
    let mut table = Table::new(&headings);
    for decision in &decisions {
        table.row(vec![
            decision.created_at.to_string(),
            decision.decision.as_str().to_owned(),
            decision.tenant.to_string(),
            decision.tool.to_string(),
            decision.code.to_string(),
            shown(decision.agent.as_ref()),
            decision.reason.clone(),
        ]);
    }
    table.print("no decisions")
}

impl Args {
    fn filter(&self) -> DecisionFilter {
        let verdict = match (self.allowed, self.denied) {
            (true, _) => Some(Verdict::Allow),
            (_, true) => Some(Verdict::Deny),
            _ => None,
        };
        DecisionFilter {
            tenant: self.tenant.clone(),
            tool: self.tool.clone(),
            agent: self.agent.clone(),
            verdict,
            code: self.code.clone(),
            from: self.from.map(|time| time.to_string()),
            to: self.to.map(|time| time.to_string()),
        }
    }

    /// Whether an event of the stream is about what was asked for.
    fn wants(&self, line: &EventLine<'_>, checked: &CheckedEvent<'_>) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted.as_str()))
        };
        let verdict = match (self.allowed, self.denied) {
            (true, _) => line.event == ALLOW,
            (_, true) => line.event != ALLOW,
            _ => true,
        };
        verdict
            && is(&self.tenant, line.tenant.as_deref())
            && is(&self.tool, line.tool.as_deref())
            && is(&self.agent, checked.agent.as_deref())
            && is(&self.code, Some(checked.code.as_str()))
    }
}

async fn export(client: &Client, args: &Args, path: &Path) -> Outcome {
    let mut stream = client.api.export(&args.filter()).await.or_explain(client)?;
    let failed = || format!("cannot write `{}`", path.display());
    let to_file = path != Path::new("-");
    let file = to_file.then(|| File::create(path).or_fail(failed)).transpose()?;
    let mut out = file.map(BufWriter::new);
    let mut lines = 0;
    let mut whole = true;
    while let Some(part) = stream.next().await {
        let part = part.or_explain(client)?;
        lines += part.iter().filter(|byte| **byte == b'\n').count();
        whole = part.last().map_or(whole, |byte| *byte == b'\n');
        match &mut out {
            Some(file) => file.write_all(&part).or_fail(failed)?,
            None => output::bytes(&part)?,
        }
        if output::reader_is_gone() {
            return Ok(());
        }
    }
    if let Some(mut file) = out {
        file.flush().or_fail(failed)?;
    }
    if !whole {
        return Err(Failure::new("the export broke off in the middle of a decision"));
    }
    output::tell(&format!("{lines} decisions exported"));
    Ok(())
}

async fn follow(client: &Client, args: &Args, json: bool) -> Outcome {
    let mut events = client.api.events(None, None).await.or_explain(client)?;
    while let Some(Streamed { event, .. }) = events.next().await.or_explain(client)? {
        let StreamEvent::Event(line) = event else { continue };
        if let Some(checked) = line.checked().filter(|checked| args.wants(&line, checked)) {
            show_event(&line, &checked, json)?;
        }
        if output::reader_is_gone() {
            return Ok(());
        }
    }
    Err(Failure::new("the server ended the stream").help("it stopped, or follow fell behind"))
}

/// Shows a decision of the stream.
fn show_event(line: &EventLine<'_>, checked: &CheckedEvent<'_>, json: bool) -> Outcome {
    if json {
        let text = serde_json::to_string(line).or_fail(|| "cannot write JSON".to_owned())?;
        return output::line(&output::escape_json(&text));
    }
    let (style, verdict) =
        if line.event == ALLOW { (output::GREEN, "allow") } else { (output::RED, "deny ") };
    let rest = format!(
        "{}/{}  {}  {}  {}",
        shown(line.tenant.as_ref()),
        shown(line.tool.as_ref()),
        checked.code,
        shown(line.reason.as_ref()),
        shown(checked.agent.as_ref()),
    );
    output::line(&format!(
        "{}  {}  {}",
        line.timestamp,
        output::styled(style, verdict),
        output::printable(rest.trim_end())
    ))
}
