//! `sentinel decisions`: the audit.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use sentinel_core::principal::Role;
use serde_json::Value;

use crate::client::{Client, Connection, text};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table};

/// A line of the event stream longer than this is not ours. Bytes.
const MAX_LINE: usize = 1024 * 1024;

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
    let decisions = client.list(&["v1", "decisions"], &args.query(), args.limit).await?;
    if json {
        return output::json(&decisions);
    }
    let headings = ["time", "decision", "tenant", "tool", "code", "agent", "reason"];
    let mut table = Table::new(&headings);
    for decision in &decisions {
        table.row(vec![
            text(decision, "created_at"),
            text(decision, "decision"),
            text(decision, "tenant"),
            text(decision, "tool"),
            text(decision, "code"),
            text(decision, "agent"),
            text(decision, "reason"),
        ]);
    }
    table.print("no decisions")
}

impl Args {
    fn query(&self) -> Vec<(&'static str, Option<String>)> {
        let decision = match (self.allowed, self.denied) {
            (true, _) => Some("allow".to_owned()),
            (_, true) => Some("deny".to_owned()),
            _ => None,
        };
        vec![
            ("tenant", self.tenant.clone()),
            ("tool", self.tool.clone()),
            ("agent", self.agent.clone()),
            ("decision", decision),
            ("code", self.code.clone()),
            ("from", self.from.map(|time| time.to_string())),
            ("to", self.to.map(|time| time.to_string())),
        ]
    }

    /// Whether an event of the stream is about what was asked for.
    fn wants(&self, event: &Value) -> bool {
        let metadata = event.get("metadata").unwrap_or(&Value::Null);
        let is = |wanted: &Option<String>, found: String| {
            wanted.as_ref().is_none_or(|wanted| *wanted == found)
        };
        let name = text(event, "event");
        let verdict = match (self.allowed, self.denied) {
            (true, _) => name == "policy.check.allow",
            (_, true) => name == "policy.check.deny",
            _ => name.starts_with("policy.check."),
        };
        verdict
            && is(&self.tenant, text(event, "tenant"))
            && is(&self.tool, text(event, "tool"))
            && is(&self.agent, text(metadata, "agent"))
            && is(&self.code, text(metadata, "code"))
    }
}

async fn export(client: &Client, args: &Args, path: &Path) -> Outcome {
    let mut stream = client.stream(&["v1", "decisions", "export"], &args.query()).await?;
    let failed = || format!("cannot write `{}`", path.display());
    let to_file = path != Path::new("-");
    let file = to_file.then(|| File::create(path).or_fail(failed)).transpose()?;
    let mut out = file.map(BufWriter::new);
    let mut lines = 0;
    let mut whole = true;
    while let Some(part) = stream.next().await {
        let part = part?;
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
    let mut stream = client.stream(&["v1", "events"], &[]).await?;
    let mut buffer = Vec::new();
    while let Some(part) = stream.next().await {
        buffer.extend(part?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            show_event(&line, args, json)?;
            if output::reader_is_gone() {
                return Ok(());
            }
        }
        if buffer.len() > MAX_LINE {
            return Err(Failure::new("the server's event stream is malformed"));
        }
    }
    Err(Failure::new("the server ended the stream").help("it stopped, or follow fell behind"))
}

/// Shows the event in one `data:` line of the stream, if it is a wanted decision.
fn show_event(line: &[u8], args: &Args, json: bool) -> Outcome {
    let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return Ok(()) };
    if !args.wants(&event) {
        return Ok(());
    }
    if json {
        return output::line(&output::escape_json(&event.to_string()));
    }
    let metadata = event.get("metadata").unwrap_or(&Value::Null);
    let allow = text(&event, "event") == "policy.check.allow";
    let (style, verdict) = if allow { (output::GREEN, "allow") } else { (output::RED, "deny ") };
    let rest = format!(
        "{}/{}  {}  {}  {}",
        text(&event, "tenant"),
        text(&event, "tool"),
        text(metadata, "code"),
        text(&event, "reason"),
        text(metadata, "agent"),
    );
    output::line(&format!(
        "{}  {}  {}",
        output::printable(&text(&event, "timestamp")),
        output::styled(style, verdict),
        output::printable(rest.trim_end())
    ))
}
