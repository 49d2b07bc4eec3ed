//! The event log: one line per event, on standard output.
//!
//! A thread of its own writes, so that a slow reader of the log (a pipe that is not drained, a
//! paused terminal) holds up no decision. It may fall behind and skip events; a line says how many.
//! The audit has them all.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sentinel_api::EventLine;
use sentinel_core::clock::Clock;
use sentinel_core::event::Event;
use sentinel_service::bus::{InProcessBus, Published};
use sentinel_service::subscription::{Heard, Silence, Subscription};
use serde_json::{Value, json};

use crate::output::{escape_json, printable};
use crate::runtime::logging::LogFormat;

/// Bytes that are collected before they are written, while more events are waiting.
const BUFFER: usize = 64 * 1024;

/// Pause after each write. A busy server would otherwise wake the thread for every event, which
/// costs it more than writing them.
const PAUSE: Duration = Duration::from_millis(2);

/// How the event log is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventLogOptions {
    pub(crate) format: LogFormat,
    pub(crate) colours: bool,
    /// Leaves out the events of checks.
    pub(crate) quiet: bool,
}

/// A running event log; it ends when the bus is gone.
#[derive(Debug)]
pub(crate) struct EventLog(JoinHandle<()>);

impl EventLog {
    /// Starts writing what happens from now on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        bus: &InProcessBus,
        clock: Arc<dyn Clock>,
        options: EventLogOptions,
    ) -> io::Result<Self> {
        let events = bus.subscribe(None);
        let mut log = Log {
            out: BufWriter::with_capacity(BUFFER, io::stdout()),
            options,
            clock,
            next: events.position.position + 1,
            json: Vec::new(),
        };
        let run = move || {
            // Standard output that is closed ends the log; the server goes on without.
            if let Err(error) = log.run(events) {
                tracing::warn!(%error, "the event log ended");
            }
        };
        std::thread::Builder::new().name("event-log".to_owned()).spawn(run).map(Self)
    }

    /// Waits until the last event is written, at most `limit`.
    pub(crate) fn finish(self, limit: Duration) {
        let until = Instant::now() + limit;
        while !self.0.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

struct Log<W: Write> {
    out: W,
    options: EventLogOptions,
    clock: Arc<dyn Clock>,
    /// Position that the next event has unless some are skipped.
    next: u64,
    /// The line that is being written.
    json: Vec<u8>,
}

impl<W: Write> Log<W> {
    fn run(&mut self, mut events: Subscription) -> io::Result<()> {
        loop {
            let heard = match events.try_next() {
                Ok(heard) => heard,
                Err(Silence::ForGood) => return self.out.flush(),
                Err(Silence::Yet) => {
                    self.out.flush()?;
                    std::thread::sleep(PAUSE);
                    let Some(heard) = events.blocking_next() else { return Ok(()) };
                    heard
                }
            };
            match heard {
                Heard::Events(group) => self.group(&group)?,
                // The positions of what follows say how many are missing.
                Heard::Gap => {}
            }
        }
    }

    fn group(&mut self, group: &[Published]) -> io::Result<()> {
        for published in group {
            let skipped = published.position.saturating_sub(self.next);
            if skipped > 0 {
                self.line(&skipped_line(skipped, self.clock.now()))?;
            }
            self.next = published.position + 1;
            // The server where it happened has it in its own log.
            let silent = self.options.quiet && matches!(published.event, Event::Checked(_));
            if published.foreign || silent {
                continue;
            }
            self.line(&EventLine::of(&published.event))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &EventLine<'_>) -> io::Result<()> {
        match self.options.format {
            LogFormat::Json => {
                self.json.clear();
                serde_json::to_writer(&mut self.json, line)?;
                let json = std::str::from_utf8(&self.json).map_err(io::Error::other)?;
                self.out.write_all(escape_json(json).as_bytes())?;
                self.out.write_all(b"\n")
            }
            LogFormat::Text => writeln!(self.out, "{}", text(line, self.options.colours)),
        }
    }
}

fn skipped_line(skipped: u64, now: Timestamp) -> EventLine<'static> {
    EventLine {
        event: "log.skipped".into(),
        tenant: None,
        tool: None,
        reason: Some("the log fell behind; the audit has every decision".into()),
        timestamp: now,
        metadata: json!({ "skipped": skipped }).into(),
    }
}

/// One aligned line for people: time, event, what it concerns, why, and what else there is.
fn text(line: &EventLine<'_>, colours: bool) -> String {
    let colour = match &*line.event {
        "policy.check.allow" | "kill_switch.restored" => "32",
        "policy.check.deny" | "kill_switch.disabled" => "31",
        "log.skipped" => "33",
        _ => "36",
    };
    let subject = match (line.tenant.as_deref(), line.tool.as_deref()) {
        (Some(tenant), Some(tool)) => format!("{tenant}/{tool}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "-".to_owned(),
    };
    let (start, end) =
        if colours { (format!("\x1b[{colour}m"), "\x1b[0m") } else { (String::new(), "") };
    let mut out = format!(
        "{} {start}{:<22}{end} {:<38} {}",
        line.timestamp.strftime("%H:%M:%S%.3f"),
        line.event,
        printable(&subject),
        printable(line.reason.as_deref().unwrap_or("")),
    );
    let metadata = line.metadata.value();
    if let Value::Object(metadata) = &*metadata {
        for (name, value) in metadata.iter().filter(|(_, value)| !value.is_null()) {
            // Writing to a string cannot fail.
            let _ = match value {
                Value::String(text) => write!(out, " {name}={}", printable(text)),
                other => write!(out, " {name}={}", printable(&other.to_string())),
            };
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::SystemClock;
    use sentinel_core::epoch::Epoch;
    use sentinel_core::event::{Bus as _, RegistryChange, RegistryEvent};

    fn event(subject: &str) -> Event {
        Event::Registry(Arc::new(RegistryEvent {
            kind: RegistryChange::KeyCreated,
            tenant_id: None,
            tenant: None,
            subject: subject.to_owned(),
            actor: "test".to_owned(),
            epoch: Epoch(1),
            at: Timestamp::UNIX_EPOCH,
        }))
    }

    fn written(format: LogFormat, publish: impl FnOnce(&InProcessBus)) -> String {
        let bus = InProcessBus::default();
        let subscription = bus.subscribe(None);
        publish(&bus);
        drop(bus);
        let mut log = Log {
            out: Vec::new(),
            options: EventLogOptions { format, colours: false, quiet: false },
            clock: Arc::new(SystemClock),
            next: subscription.position.position + 1,
            json: Vec::new(),
        };
        log.run(subscription).unwrap();
        String::from_utf8(log.out).unwrap()
    }

    #[test]
    fn every_event_is_one_json_line() {
        let log = written(LogFormat::Json, |bus| {
            bus.publish(vec![event("a\n{\"event\":\"forged\"}"), event("\u{9b}2J")]);
        });
        let lines: Vec<Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event"], "registry.key_created");
        assert_eq!(lines[0]["metadata"]["subject"], "a\n{\"event\":\"forged\"}");
        assert!(!log.contains('\u{9b}'));
    }

    #[test]
    fn a_readable_line_holds_one_event_whatever_its_values() {
        let log = written(LogFormat::Text, |bus| bus.publish(vec![event("a\r\nb \x1b[2J")]));
        assert_eq!(log.lines().count(), 1);
        assert!(!log.contains('\x1b'), "{log:?}");
    }

    #[test]
    fn a_log_that_fell_behind_says_how_much_it_skipped() {
        let log = written(LogFormat::Json, |bus| {
            // More than the bus keeps.
            let subject = "x".repeat(8192);
            for _ in 0..1500 {
                bus.publish(vec![event(&subject), event(&subject)]);
            }
        });
        let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        assert_eq!(first["event"], "log.skipped");
        let skipped = first["metadata"]["skipped"].as_u64().unwrap();
        assert_eq!(skipped + log.lines().count() as u64 - 1, 3000);
    }
}
