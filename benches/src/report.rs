//! Tables for people, and the same as JSON for programs.

use std::{
    fmt::{self, Display, Formatter},
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    load::{LoadResult, Mode},
    server::ProcessFigures,
};

/// Everything one run of the program found.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    machine: Machine,
    tables: Vec<Table>,
}

/// Rows of figures of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: &'static [Column],
    rows: Vec<Row>,
}

#[derive(Debug)]
pub(crate) struct Column {
    /// Name in the JSON.
    pub(crate) key: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    /// With so many decimals, thousands separated.
    Number(usize),
    /// 1.0 is 100 %.
    Percent,
}

/// One line of a table: a label, a figure (or none) for each column, remarks printed below the
/// table, and whatever else the JSON is to have.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) figures: Vec<Option<f64>>,
    pub(crate) remarks: Vec<String>,
    pub(crate) detail: Value,
}

/// Where the figures come from.
#[derive(Debug, Serialize)]
struct Machine {
    cpu: String,
    /// Those that the run was restricted to.
    cores: usize,
    kernel: String,
}

const fn column(key: &'static str, heading: &'static str, format: Format) -> Column {
    Column { key, heading, format }
}

/// Columns of [`Row::load`].
pub(crate) const LOAD_COLUMNS: &[Column] = &[
    column("requests_per_second", "requests/s", Format::Number(0)),
    column("ratio", "ratio", Format::Percent),
    column("p50_ms", "p50 ms", Format::Number(2)),
    column("p95_ms", "p95 ms", Format::Number(2)),
    column("p99_ms", "p99 ms", Format::Number(2)),
    column("max_ms", "max ms", Format::Number(2)),
    column("errors", "errors", Format::Number(0)),
    column("server_cores", "server cores", Format::Number(2)),
    column("generator_cores", "load cores", Format::Number(2)),
    column("other_cores", "other cores", Format::Number(2)),
];

/// Columns of [`Row::process`].
pub(crate) const PROCESS_COLUMNS: &[Column] = &[
    column("ready_ms", "ready ms", Format::Number(1)),
    column("idle_mb", "idle MB", Format::Number(1)),
    column("ratio", "ratio", Format::Percent),
    column("loaded_mb", "loaded MB", Format::Number(1)),
    column("peak_mb", "peak MB", Format::Number(1)),
];

impl Row {
    /// A run of the load generator; `ratio` is its rate over the rate of `baseline`.
    pub(crate) fn load(
        label: impl Into<String>,
        result: &LoadResult,
        baseline: Option<&LoadResult>,
    ) -> anyhow::Result<Self> {
        let label = label.into();
        let ratio = baseline.map(|base| result.requests_per_second / base.requests_per_second);
        let figures = vec![
            Some(result.requests_per_second),
            ratio,
            Some(result.latency.p50),
            Some(result.latency.p95),
            Some(result.latency.p99),
            Some(result.latency.max),
            Some(result.errors() as f64),
            result.cpu_cores.server,
            Some(result.cpu_cores.generator),
            result.cpu_cores.others,
        ];
        let remarks = load_remarks(result);
        Ok(Self { label, figures, remarks, detail: serde_json::to_value(result)? })
    }

    /// What a server process took; `ratio` is its idle memory over that of `baseline`.
    pub(crate) fn process(
        label: impl Into<String>,
        process: &ProcessFigures,
        baseline: Option<&ProcessFigures>,
    ) -> anyhow::Result<Self> {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let idle = megabytes(process.idle.resident);
        let figures = vec![
            Some(process.time_to_ready.as_secs_f64() * 1e3),
            Some(idle),
            baseline.map(|base| idle / megabytes(base.idle.resident)),
            Some(megabytes(process.loaded.resident)),
            Some(megabytes(process.loaded.peak)),
        ];
        let detail = serde_json::to_value(process)?;
        Ok(Self { label: label.into(), figures, remarks: Vec::new(), detail })
    }
}

/// What a row of figures would hide: failures, statuses, outcomes, delays before sending.
fn load_remarks(result: &LoadResult) -> Vec<String> {
    let mut remarks = Vec::new();
    if result.errors() > 0 {
        let statuses = result.by_status.iter().map(|(code, count)| (code.to_string(), *count));
        let failures = result.failures.named().map(|(name, count)| (name.to_owned(), count));
        remarks.push(format!("ERRORS: {}", counts(statuses.chain(failures))));
    }
    if !result.by_outcome.is_empty() {
        let outcomes = result.by_outcome.iter().map(|(name, count)| ((*name).to_owned(), *count));
        remarks.push(format!("outcomes: {}", counts(outcomes)));
    }
    if result.cpu_cores.generator > BUSY_GENERATOR {
        remarks.push("the load generator was the bottleneck".to_owned());
    }
    if let Some(others) = result.cpu_cores.others.filter(|others| *others > BUSY_MACHINE) {
        remarks.push(format!("other processes kept {others:.2} cores busy: figures are too low"));
    }
    if let Mode::Open { per_second } = result.mode {
        remarks.push(format!(
            "offered {}/s; sent p50 {:.2} ms, p99 {:.2} ms after due, which the latencies include",
            Format::Number(0).of(per_second),
            result.send_delay.p50,
            result.send_delay.p99,
        ));
    }
    remarks
}

/// Above these, the cores say more about the figures than the server does.
const BUSY_GENERATOR: f64 = 0.95;
const BUSY_MACHINE: f64 = 0.2;

fn counts(named: impl Iterator<Item = (String, u64)>) -> String {
    let shown = named.filter(|(_, count)| *count > 0);
    let shown: Vec<_> = shown.map(|(name, count)| format!("{name} × {count}")).collect();
    shown.join(", ")
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &'static [Column]) -> Self {
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The table, if what it should show holds; otherwise it is printed before the run fails.
    ///
    /// # Errors
    /// When it does not hold.
    pub(crate) fn provided(
        self,
        holds: bool,
        complaint: impl FnOnce() -> String,
    ) -> anyhow::Result<Self> {
        if !holds {
            print!("{self}");
            anyhow::bail!(complaint());
        }
        Ok(self)
    }

    fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut object = Map::from_iter([("label".to_owned(), json!(row.label))]);
            let figures = self.columns.iter().zip(&row.figures);
            object.extend(figures.map(|(column, figure)| (column.key.to_owned(), json!(figure))));
            object.insert("detail".to_owned(), row.detail.clone());
            Value::Object(object)
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>() })
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lines = vec![vec![self.title.clone()]];
        lines.extend(self.rows.iter().map(|row| vec![row.label.clone()]));
        let headings = self.columns.iter().map(|column| column.heading.to_owned());
        if let Some(line) = lines.first_mut() {
            line.extend(headings);
        }
        for (line, row) in lines.iter_mut().skip(1).zip(&self.rows) {
            let cells = self.columns.iter().zip(&row.figures).map(|(column, figure)| {
                figure.map_or_else(|| "-".to_owned(), |figure| column.format.of(figure))
            });
            line.extend(cells);
        }
        let width = |index: usize| {
            lines.iter().filter_map(|line| line.get(index)).map(|c| c.chars().count()).max()
        };
        for line in &lines {
            for (index, cell) in line.iter().enumerate() {
                let width = width(index).unwrap_or_default();
                match index {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        for row in &self.rows {
            for remark in &row.remarks {
                writeln!(f, "  {}: {remark}", row.label)?;
            }
        }
        Ok(())
    }
}

impl Format {
    fn of(self, value: f64) -> String {
        match self {
            Self::Number(decimals) => separate_thousands(&format!("{value:.decimals$}")),
            Self::Percent => format!("{:.1} %", value * 100.0),
        }
    }
}

fn separate_thousands(number: &str) -> String {
    let whole = number.split('.').next().unwrap_or(number).len();
    let mut separated = String::with_capacity(number.len() + number.len() / 3);
    for (index, digit) in number.chars().enumerate() {
        let left = whole.saturating_sub(index);
        let after_digit = separated.ends_with(|last: char| last.is_ascii_digit());
        if left > 0 && left % 3 == 0 && after_digit {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated
}

impl Report {
    /// `name` is also that of the file.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, machine: Machine::read(), tables: Vec::new() }
    }

    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Writes the report to `directory/<name>.json`, and says where that is.
    ///
    /// # Errors
    /// When the directory or the file cannot be written.
    pub(crate) fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        let tables: Vec<_> = self.tables.iter().map(Table::to_json).collect();
        let report = json!({ "name": self.name, "machine": self.machine, "tables": tables });
        let path = directory.join(format!("{}.json", self.name));
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, format!("{report:#}\n")))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, kernel } = &self.machine;
        writeln!(f, "{cpu}, {cores} cores shared by servers and load generator, Linux {kernel}")?;
        self.tables.iter().try_for_each(|table| write!(f, "\n{table}"))
    }
}

impl Machine {
    fn read() -> Self {
        let unknown = || "unknown".to_owned();
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            cpu: cpu.unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.map_or_else(|_| unknown(), |text| text.trim().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        column("rate", "per s", Format::Number(0)),
        column("ratio", "ratio", Format::Percent),
        column("ms", "ms", Format::Number(2)),
    ];

    fn table() -> Table {
        let mut table = Table::new("a table", COLUMNS);
        table.push(Row {
            label: "one".to_owned(),
            figures: vec![Some(1_234_567.4), Some(0.2666), Some(-1234.5)],
            remarks: vec!["closed × 3".to_owned()],
            detail: json!({ "more": true }),
        });
        table.push(Row {
            label: "another".to_owned(),
            figures: vec![Some(999.0), None, Some(0.0)],
            remarks: Vec::new(),
            detail: Value::Null,
        });
        table
    }

    #[test]
    fn columns_are_aligned_and_remarks_follow() {
        let expected = "\
a table      per s   ratio         ms
one      1,234,567  26.7 %  -1,234.50
another        999       -       0.00
  one: closed × 3
";
        assert_eq!(table().to_string(), expected);
    }

    #[test]
    fn json_has_full_figures_and_nulls() {
        let json = table().to_json();
        assert_eq!(json["rows"][0]["rate"], json!(1_234_567.4));
        assert_eq!(json["rows"][0]["detail"]["more"], json!(true));
        assert_eq!(json["rows"][1]["ratio"], Value::Null);
        assert_eq!(json["rows"][1]["label"], json!("another"));
    }
}
