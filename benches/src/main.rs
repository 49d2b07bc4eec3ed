//! Benchmarks. The load generator, the server under test and the echo it is compared with run as
//! separate processes on the same cores, so that a ratio taken in one run means something.

mod echo;
mod load;
mod mcp;
mod report;
mod scenario;
mod sentinel;
mod server;

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::http::Uri;
use clap::{Args, Parser, Subcommand};
use load::{LoadPlan, Mode, RequestHead, Response};
use report::{LOAD_COLUMNS, Report, Row, Table};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use scenario::Times;
use sentinel::Product;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The body of one policy check, as every scenario and the echo send it.
const CHECK_BODY: &str = r#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke","purpose":"documentation_lookup","usage":1,"context":{"ticket":"ABC-1"},"agent":"bench","arguments":{"query":"how do I trace a run"}}"#;

#[derive(Debug, Parser)]
#[command(name = "sentinel-bench", about = "Benchmarks of Sentinel MCP")]
struct Cli {
    /// Cores that everything measured shares, the load generator included (0: all)
    #[arg(long, global = true, default_value_t = 2)]
    cores: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bare JSON echo server that results are compared with
    Echo {
        /// Port on 127.0.0.1 (0: any free one)
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Run an MCP server that does as little as it can
    McpUpstream(mcp::upstream::Options),
    /// Run a bare proxy
    McpProxy {
        /// Where requests are forwarded to
        #[arg(long)]
        to: SocketAddr,
    },
    /// Load a URL
    Load(LoadArgs),
    /// Run every scenario, and write the report
    All(AllArgs),
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// An http:// URL; of several, which differ in the host or port only, each gets its share of
    /// the connections
    #[arg(long, required = true)]
    url: Vec<Uri>,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Seconds measured
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds of load before measuring
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Requests per second, at a steady rate (default: as many as are answered)
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value = "POST")]
    method: String,
    /// `name: value`, repeatable
    #[arg(long)]
    header: Vec<String>,
    #[arg(long, default_value = CHECK_BODY)]
    body: String,
    /// Count the responses whose body contains this text
    #[arg(long)]
    count: Option<String>,
    /// Process id of the server, to report its use of CPU
    #[arg(long)]
    server_pid: Option<u32>,
}

#[derive(Debug, Args)]
struct AllArgs {
    /// Seconds measured in each scenario
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds of load before measuring
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Directory for the JSON report, and for the servers' data (a real disk, not tmpfs)
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// The binary to measure
    #[arg(long, default_value = "target/release/sentinel")]
    sentinel: PathBuf,
    /// The shipped policies
    #[arg(long, default_value = "policies/shipped")]
    policies: PathBuf,
    /// Run this scenario only
    #[arg(long)]
    only: Option<Scenario>,
    /// Another build, for scenarios that compare two (`questions`)
    #[arg(long)]
    against: Option<PathBuf>,
    /// Where a scenario has phases of its own (`rows`), wait for a line on standard input before
    /// each
    #[arg(long)]
    wait: bool,
    /// The virtual environment with the gateways that ours is compared with (`gateway`)
    #[arg(long, default_value = ".tools/bench-venv")]
    peers: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    Checks,
    Manifests,
    Kills,
    Tools,
    Fleet,
    Propagation,
    /// Takes a minute or more, so only when asked for
    Million,
    /// Beside a real OPA server
    Opa,
    /// The MCP gateway, beside its upstream alone, a bare proxy and other gateways; takes minutes
    Gateway,
    /// A thousand swaps of the policy under load; takes a minute or two, so only when asked for
    Swaps,
    /// With up to a million entries in the policy's data
    Entries,
    /// Repeated and distinct questions, in turn with another build if `--against` names one; only
    /// when asked for
    Questions,
    /// Kills while every evaluation is stuck: needs a binary with the feature `planted-faults`, so
    /// only when asked for
    Stuck,
    /// A million recorded decisions against a candidate policy; takes minutes
    Replay,
    /// With a transparency log of up to ten million entries; takes minutes and 8 GB of disk
    Log,
    /// With an audit log of up to ten million rows; takes minutes and 15 GB of disk
    Rows,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // Threads and child processes started from here on inherit the restriction.
    restrict_cores(cli.cores).context("cannot restrict the process to its cores")?;
    match cli.command {
        Command::Echo { port } => echo::serve(port),
        Command::McpUpstream(options) => mcp::upstream::serve(&options),
        Command::McpProxy { to } => mcp::proxy::serve(to),
        Command::Load(args) => load_url(&args),
        Command::All(args) => run_all(&args),
    }
}

/// Keeps this process and all it starts on the first `cores` of the cores it may use.
fn restrict_cores(cores: usize) -> rustix::io::Result<()> {
    if cores == 0 {
        return Ok(());
    }
    let allowed = sched_getaffinity(None)?;
    let mut kept = CpuSet::new();
    (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).take(cores).for_each(|c| kept.set(c));
    sched_setaffinity(None, &kept)
}

fn load_url(args: &LoadArgs) -> anyhow::Result<()> {
    let url = args.url.first().context("no --url")?;
    let plan = LoadPlan {
        addresses: args.url.iter().map(resolve).collect::<anyhow::Result<_>>()?,
        connections: args.connections,
        mode: args.rate.map_or(Mode::Closed, |per_second| Mode::Open { per_second }),
        warm_up: Duration::try_from_secs_f64(args.warm_up).context("bad --warm-up")?,
        measured: Duration::try_from_secs_f64(args.seconds).context("bad --seconds")?,
        server_pid: args.server_pid,
    };
    let host = url.authority().map_or("localhost", |authority| authority.as_str());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut head = RequestHead::new(&args.method, path, host);
    if !args.header.iter().any(|line| line.to_ascii_lowercase().starts_with("content-type:")) {
        head = head.header("content-type", "application/json");
    }
    for line in &args.header {
        let (name, value) =
            line.split_once(':').with_context(|| format!("header `{line}` has no colon"))?;
        head = head.header(name.trim(), value.trim());
    }
    let request = head.request(args.body.as_bytes());
    let matches = |_, response: &Response<'_>| {
        let text = args.count.as_deref()?;
        Some(if response.body_contains(text) { "matched" } else { "not matched" })
    };
    let result =
        load::run(&plan, &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request), &matches)?;
    let mut table = Table::new(format!("{} {url}", args.method), LOAD_COLUMNS);
    table.push(Row::load(format!("{} connections", result.connections), &result, None)?);
    let mut report = Report::new("load");
    report.add(table);
    print!("{report}");
    Ok(())
}

fn resolve(url: &Uri) -> anyhow::Result<SocketAddr> {
    ensure!(url.scheme_str() == Some("http"), "`{url}` is not an http:// URL");
    let host = url.host().with_context(|| format!("`{url}` has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, url.port_u16().unwrap_or(80))
        .to_socket_addrs()
        .with_context(|| format!("cannot resolve `{host}`"))?
        .next()
        .with_context(|| format!("`{host}` has no address"))
}

fn run_all(args: &AllArgs) -> anyhow::Result<()> {
    let times = Times {
        warm_up: Duration::try_from_secs_f64(args.warm_up).context("bad --warm-up")?,
        measured: Duration::try_from_secs_f64(args.seconds).context("bad --seconds")?,
    };
    let product = Product {
        binary: args.sentinel.clone(),
        policies: args.policies.clone(),
        scratch: args.out.join("data"),
    };
    let wanted = |scenario| args.only.is_none_or(|only| only == scenario);
    let mut report = Report::new("all");
    let mut add = |table: Table| {
        print!("{table}");
        report.add(table);
    };
    let baseline = echo::measure(&[16, 128], times.warm_up, times.measured)?;
    let mut table = Table::new("bare axum JSON echo", LOAD_COLUMNS);
    for result in &baseline.loads {
        let label = format!("echo, {} connections", result.connections);
        table.push(Row::load(label, result, Some(result))?);
    }
    add(table);
    ensure!(
        baseline.loads.iter().all(|result| result.errors() == 0),
        "the echo failed some requests, so nothing can be compared with it"
    );
    if wanted(Scenario::Checks) {
        let (table, process) = scenario::checks::measure(&product, times, &baseline)?;
        add(table);
        add(scenario::starts::measure(&product, &baseline.process, &process)?);
    }
    if wanted(Scenario::Manifests) {
        scenario::manifests::measure(&product, times, &baseline)?.into_iter().for_each(&mut add);
    }
    if wanted(Scenario::Kills) {
        add(scenario::kills::measure(&product, times)?);
    }
    if wanted(Scenario::Tools) {
        add(scenario::tools::measure(&product, times)?);
    }
    if wanted(Scenario::Fleet) {
        add(scenario::fleet::measure(&product, times, &baseline)?);
    }
    if wanted(Scenario::Propagation) {
        add(scenario::propagation::measure(&product)?);
    }
    if args.only == Some(Scenario::Million) {
        add(scenario::million::measure(&product, times)?);
    }
    if wanted(Scenario::Opa) {
        add(scenario::opa::measure(&product, times, &baseline)?);
    }
    if wanted(Scenario::Gateway) {
        scenario::gateway::measure(&product, times, &args.peers, &mut add)?;
    }
    // Only when asked for by name.
    match args.only {
        Some(Scenario::Questions) => {
            add(scenario::questions::measure(&product, times, args.against.as_deref())?);
        }
        Some(Scenario::Stuck) => add(scenario::stuck::measure(&product)?),
        Some(Scenario::Swaps) => add(scenario::swaps::measure(&product, times)?),
        Some(Scenario::Entries) => add(scenario::entries::measure(&product, times)?),
        Some(Scenario::Replay) => add(scenario::replay::measure(&product)?),
        Some(Scenario::Log) => add(scenario::log::measure(&product, times)?),
        Some(Scenario::Rows) => add(scenario::rows::measure(&product, times, args.wait)?),
        _ => {}
    }
    println!("\nwritten to {}", report.write(&args.out)?.display());
    Ok(())
}
