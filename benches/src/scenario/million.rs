//! A million checks at replicas of a fleet while kills and restores go on at all of them: how many
//! were allowed that may not be.

use anyhow::ensure;
use sentinel_testkit::postgres;

use super::{
    Times,
    fleet::{DATABASE, Deployment},
    kills::{self, CONNECTIONS, KILL, RESTORE, Requests, Seen},
};
use crate::{
    CHECK_BODY,
    load::{LoadPlan, Mode},
    report::Table,
    sentinel::Product,
};

const REPLICAS: usize = 3;
const CHECKS: u64 = 1_000_000;
/// Rounds after which a machine is too slow for it.
const ROUNDS: usize = 40;

/// Goes on in rounds until so many checks were answered.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let database = postgres::Server::new();
    database.create_database(DATABASE, "template0");
    let fleet = Deployment::new(product, &database.url(DATABASE), "")?.start(REPLICAS)?;
    let requests = Requests {
        check: fleet.request("POST", "/policy/check").request(CHECK_BODY.as_bytes()),
        kill: fleet.request("POST", "/kill").request(KILL),
        restore: fleet.request("POST", "/kill/restore").request(RESTORE),
    };
    let plan = LoadPlan {
        addresses: fleet.addresses,
        connections: CONNECTIONS,
        mode: Mode::Closed,
        warm_up: times.warm_up,
        measured: times.measured,
        server_pid: None,
    };
    let mut rounds = Vec::new();
    let mut checks = 0;
    while checks < CHECKS && rounds.len() < ROUNDS {
        let seen = kills::run(plan.clone(), &requests)?;
        checks += seen.checks;
        rounds.push(seen);
    }
    let violations: usize = rounds.iter().map(Seen::violations).sum();
    let round_trips = rounds.iter().flat_map(Seen::round_trips).collect();
    let mut row = kills::figures("kill, sent to acknowledged", round_trips);
    row.remarks.push(format!(
        "{violations} allows of checks sent after a kill was acknowledged and answered before its \
         restore was sent, in {checks} checks, of which {} were allowed; {} kills",
        rounds.iter().map(Seen::allows).sum::<usize>(),
        rounds.iter().map(Seen::kills).sum::<usize>(),
    ));
    let title =
        format!("{REPLICAS} replicas on PostgreSQL, killed under {CONNECTIONS} connections");
    let mut table = Table::new(title, kills::COLUMNS);
    table.push(row);
    ensure!(violations == 0, "{violations} checks were allowed after a kill was acknowledged");
    ensure!(checks >= CHECKS, "only {checks} checks were answered");
    Ok(table)
}
