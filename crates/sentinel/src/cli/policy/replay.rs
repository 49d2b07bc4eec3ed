//! `sentinel policy replay`: what a candidate would have decided otherwise.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use sentinel_client::DecisionFilter;
use sentinel_core::principal::Role;
use sentinel_policy_workbench::{Replayed, Replayer};
use serde::Serialize;
use serde_json::{Value, json};

use super::source::{Version, vet};
use crate::client::{Connection, OrExplain as _};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table};

/// A longer line is not a recorded decision. Bytes.
const MAX_LINE: u64 = 1024 * 1024;
/// Pairs of tenant and tool that are counted each on its own; the rest are counted together.
const MAX_PAIRS: usize = 1000;
/// Lines between two looks at the clock.
const STEP: u64 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the candidate.
    dir: PathBuf,
    /// Recorded decisions, one JSON object a line; `-` is standard input. Otherwise the server is
    /// asked.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Only those of one tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only those about one tool.
    #[arg(long)]
    tool: Option<String>,
    /// Not before this time, such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// At most so many examples of each kind of change.
    #[arg(long, default_value_t = 3, value_name = "N")]
    examples: usize,
    /// Fails when the candidate allows or denies anything that was decided otherwise.
    #[arg(long)]
    deny_changes: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    pub(crate) version: Version,
}

pub(crate) async fn run(args: &Args, json: bool) -> Outcome {
    let policy = vet(&args.dir, args.version)?;
    let replayer = Replayer::new(&policy).map_err(|error| Failure::new(error.to_string()))?;
    let mut replay = Replay::new(args, replayer);
    match &args.decisions {
        Some(path) => replay.file(path)?,
        None => replay.server().await?,
    }
    replay.finish(json)
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Counts {
    replayed: u64,
    newly_allowed: u64,
    newly_denied: u64,
    other_reasons: u64,
    not_faithful: u64,
    not_by_policy: u64,
    unreadable: u64,
}

#[derive(Debug, Serialize)]
struct Example {
    change: &'static str,
    id: String,
    tenant: String,
    tool: String,
    agent: String,
    purpose: String,
    before: String,
    after: String,
}

struct Replay<'a> {
    args: &'a Args,
    replayer: Replayer,
    total: Counts,
    pairs: BTreeMap<(String, String), Counts>,
    examples: Vec<Example>,
    progress: ProgressBar,
    /// Bytes and lines.
    read: u64,
    lines: u64,
    /// Decisions that were not asked for.
    passed_over: u64,
    /// Of the first decision that the server sent: it sends the newest first.
    newest: Option<jiff::Timestamp>,
    started: Instant,
    told: Instant,
}

impl<'a> Replay<'a> {
    fn new(args: &'a Args, replayer: Replayer) -> Self {
        let started = Instant::now();
        Self {
            args,
            replayer,
            total: Counts::default(),
            pairs: BTreeMap::new(),
            examples: Vec::new(),
            progress: ProgressBar::hidden(),
            read: 0,
            lines: 0,
            passed_over: 0,
            newest: None,
            started,
            told: started,
        }
    }

    /// Reads line by line, so that no more than one is in memory.
    fn file(&mut self, path: &Path) -> Outcome {
        let doing = || format!("cannot read `{}`", path.display());
        if path == Path::new("-") {
            self.watch(None);
            return self.lines(std::io::stdin().lock(), path);
        }
        let file = std::fs::File::open(path).or_fail(doing)?;
        self.watch(file.metadata().ok().map(|metadata| metadata.len()));
        self.lines(BufReader::with_capacity(1 << 16, file), path)
    }

    fn lines(&mut self, mut reader: impl BufRead, path: &Path) -> Outcome {
        let mut line = Vec::new();
        loop {
            line.clear();
            let doing = || format!("cannot read `{}`", path.display());
            if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).or_fail(doing)? == 0 {
                return Ok(());
            }
            if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
                let message = format!("`{}` has a line of more than 1 MiB", path.display());
                return Err(Failure::new(message));
            }
            self.line(&line);
        }
    }

    async fn server(&mut self) -> Outcome {
        let args = self.args;
        let client = args.connection.client(Role::Auditor)?;
        let filter = DecisionFilter {
            tenant: args.tenant.clone(),
            tool: args.tool.clone(),
            from: args.from.map(|time| time.to_string()),
            to: args.to.map(|time| time.to_string()),
            ..DecisionFilter::default()
        };
        let mut stream = client.api.export(&filter).await.or_explain(&client)?;
        // How many there are is not known; from the newest to `--from` it is so many milliseconds.
        self.watch(args.from.map(|from| millis(jiff::Timestamp::now(), from)));
        let mut rest = Vec::new();
        while let Some(part) = stream.next().await {
            rest.extend(part.or_explain(&client)?);
            let mut from = 0;
            while let Some(length) =
                rest.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
            {
                let line = rest.get(from..from + length).unwrap_or_default().to_vec();
                self.line(&line);
                from += length + 1;
            }
            drop(rest.drain(..from));
            if rest.len() as u64 > MAX_LINE {
                return Err(Failure::new("the server's stream of decisions is malformed"));
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(Failure::new("the export broke off in the middle of a decision"))
    }

    /// Shows how far it is: a bar on a terminal, otherwise a line every few seconds.
    fn watch(&mut self, length: Option<u64>) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        // Decisions are spread over bytes evenly, over time they are not.
        let template = match (length, &self.args.decisions) {
            (Some(_), Some(_)) => "{bar:40} {percent} %  {msg}  {eta} left",
            (Some(_), None) => "{bar:40} {percent} %  {msg}",
            (None, _) => "{spinner} {msg}",
        };
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        self.progress = bar;
    }

    fn line(&mut self, line: &[u8]) {
        self.read += line.len() as u64;
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let record = serde_json::from_slice::<Value>(line);
        self.lines += 1;
        if self.lines.is_multiple_of(STEP) {
            self.tell(record.as_ref().ok());
        }
        match record {
            Ok(record) if self.wants(&record) => self.record(&record),
            Ok(record) if is_record(&record) => self.passed_over += 1,
            // A line that is not a decision must not pass for one that was not asked for.
            Ok(_) | Err(_) => self.total.unreadable += 1,
        }
    }

    fn seen(&self) -> u64 {
        let total = &self.total;
        total.replayed + total.not_faithful + total.not_by_policy + total.unreadable
    }

    fn rate(&self) -> u64 {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen().saturating_mul(1000) / millis.max(1)
    }

    fn tell(&mut self, record: Option<&Value>) {
        let at = || text(record?, "created_at").parse::<jiff::Timestamp>().ok();
        match (&self.args.decisions, self.args.from) {
            (Some(_), _) => self.progress.set_position(self.read),
            (None, Some(from)) => {
                if let Some(at) = at() {
                    let newest = *self.newest.get_or_insert(at);
                    self.progress.set_length(millis(newest, from));
                    self.progress.set_position(millis(newest, at));
                }
            }
            (None, None) => self.progress.tick(),
        }
        let message = format!("{} decisions, {} a second", self.seen(), self.rate());
        if self.progress.is_hidden() && self.told.elapsed() > Duration::from_secs(5) {
            self.told = Instant::now();
            output::tell(&message);
        }
        self.progress.set_message(message);
    }

    fn wants(&self, record: &Value) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| record.get(name).is_some_and(|found| found == wanted))
        };
        let at = || text(record, "created_at").parse::<jiff::Timestamp>().ok();
        let from = self.args.from.is_none_or(|from| at().is_some_and(|at| at >= from));
        let to = self.args.to.is_none_or(|to| at().is_some_and(|at| at < to));
        is(&self.args.tenant, "tenant") && is(&self.args.tool, "tool") && from && to
    }

    fn record(&mut self, record: &Value) {
        let replayed = self.replayer.replay(record);
        count(&mut self.total, &replayed);
        if replayed == Replayed::Unreadable {
            return;
        }
        let mut pair = (text(record, "tenant"), text(record, "tool"));
        if self.pairs.len() >= MAX_PAIRS && !self.pairs.contains_key(&pair) {
            pair = ("(others)".to_owned(), "(others)".to_owned());
        }
        count(self.pairs.entry(pair).or_default(), &replayed);
        let allowed = || "allowed".to_owned();
        let (change, before, after) = match replayed {
            Replayed::NewlyAllowed { before } => ("newly allowed", before.join(", "), allowed()),
            Replayed::NewlyDenied { after } => ("newly denied", allowed(), after.join(", ")),
            Replayed::OtherReasons { before, after } => {
                ("other reasons", before.join(", "), after.join(", "))
            }
            _ => return,
        };
        let alike = self.examples.iter().filter(|example| example.change == change);
        if alike.count() < self.args.examples {
            self.examples.push(Example {
                change,
                id: text(record, "id"),
                tenant: text(record, "tenant"),
                tool: text(record, "tool"),
                agent: text(record, "agent"),
                purpose: text(record, "purpose"),
                before,
                after,
            });
        }
    }

    fn finish(self, json: bool) -> Outcome {
        self.progress.finish_and_clear();
        let (rate, unrecorded) = (self.rate(), self.replayer.reads_unrecorded());
        let verdict = self.verdict();
        if json {
            let pairs: Vec<_> = self.pairs.iter().map(|((tenant, tool), counts)| {
                json!({"tenant": tenant, "tool": tool, "counts": counts})
            }).collect();
            output::json(&json!({
                "total": self.total,
                "reads_unrecorded": unrecorded,
                "by_tool": pairs,
                "examples": self.examples,
                "decisions_per_second": rate,
            }))?;
            return verdict;
        }
        if self.total.replayed == 0 {
            self.show_uncompared(&unrecorded)?;
            return verdict;
        }
        let mut table = Table::new(&[
            "tenant",
            "tool",
            "replayed",
            "newly allowed",
            "newly denied",
            "other reasons",
            "not faithful",
        ]);
        let mut row = |tenant: &str, tool: &str, counts: &Counts| {
            let counts = [
                counts.replayed,
                counts.newly_allowed,
                counts.newly_denied,
                counts.other_reasons,
                counts.not_faithful,
            ];
            let names = [tenant, tool].map(str::to_owned);
            table.row(names.into_iter().chain(counts.map(|count| count.to_string())).collect());
        };
        for ((tenant, tool), counts) in &self.pairs {
            row(tenant, tool, counts);
        }
        row("in all", "", &self.total);
        table.print("no decisions")?;
        self.examples.iter().try_for_each(show)?;
        self.show_uncompared(&unrecorded)?;
        output::line(&format!("{rate} decisions a second"))?;
        verdict
    }

    fn show_uncompared(&self, unrecorded: &[&str]) -> Outcome {
        if self.total.not_faithful > 0 {
            output::line(&format!(
                "{} not replayed: the candidate reads {}, which is not recorded",
                self.total.not_faithful,
                unrecorded.join(", ")
            ))?;
        }
        if self.total.not_by_policy > 0 {
            output::line(&format!("{} not decided by policy", self.total.not_by_policy))?;
        }
        Ok(())
    }

    /// A replay of nothing, or of less than it was given, proves nothing of the candidate.
    fn verdict(&self) -> Outcome {
        const MAKE: &str = "make the file with `sentinel decisions --export FILE`";
        let (total, lines) = (&self.total, self.lines);
        if total.unreadable == lines && self.args.decisions.is_some() {
            return Err(Failure::new(format!("none of the {lines} lines is a decision")).help(MAKE));
        }
        if total.unreadable > 0 {
            let message = format!("not a decision: {} of {lines} lines", total.unreadable);
            return Err(Failure::new(message).help(MAKE));
        }
        if total.replayed == 0 {
            let why = match (lines - self.passed_over, lines) {
                (0, 0) => "there are none".to_owned(),
                (0, all) => format!("none of the {all} decisions matches what is asked for"),
                (some, _) => format!("none of the {some} can be compared"),
            };
            return Err(Failure::new(format!("no decision was replayed: {why}")));
        }
        if self.args.deny_changes && total.newly_allowed + total.newly_denied > 0 {
            return Err(Failure::silent());
        }
        Ok(())
    }
}

/// A field of a recorded decision as text; nothing for one that is absent or null.
// Not `sentinel_api::Decision`: records of earlier versions have fewer fields, and can be replayed.
fn text(record: &Value, field: &str) -> String {
    record.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_record(value: &Value) -> bool {
    ["tenant", "tool", "decision"].iter().all(|name| value.get(name).is_some_and(Value::is_string))
}

/// From the earlier to the later; none when they are the other way round.
fn millis(later: jiff::Timestamp, earlier: jiff::Timestamp) -> u64 {
    u64::try_from(later.as_millisecond() - earlier.as_millisecond()).unwrap_or(0)
}

fn show(example: &Example) -> Outcome {
    let line = format!(
        "{}  {}  {}/{}  agent {}  purpose {}  {} -> {}",
        example.change,
        example.id,
        example.tenant,
        example.tool,
        example.agent,
        example.purpose,
        example.before,
        example.after
    );
    output::line(&output::printable(&line))
}

fn count(counts: &mut Counts, replayed: &Replayed) {
    let field = match replayed {
        Replayed::Same => None,
        Replayed::NewlyAllowed { .. } => Some(&mut counts.newly_allowed),
        Replayed::NewlyDenied { .. } => Some(&mut counts.newly_denied),
        Replayed::OtherReasons { .. } => Some(&mut counts.other_reasons),
        Replayed::NotByPolicy => return counts.not_by_policy += 1,
        Replayed::NotFaithful => return counts.not_faithful += 1,
        Replayed::Unreadable => return counts.unreadable += 1,
    };
    if let Some(field) = field {
        *field += 1;
    }
    counts.replayed += 1;
}
