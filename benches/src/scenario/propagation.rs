//! How long a kill at one replica takes to reach a subscriber of another.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use sentinel_testkit::{postgres, redis::RedisServer};

use super::{
    fleet::{DATABASE, Deployment, Fleet},
    kills::{self, connect, exchange},
};
use crate::{report::Table, sentinel::Product};

const KILLS: usize = 200;
const PAUSE: Duration = Duration::from_millis(10);
/// Longest wait for one event.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills at one of two replicas and listens at the other: once with Redis, once without.
pub(crate) fn measure(product: &Product) -> anyhow::Result<Table> {
    let redis = RedisServer::start();
    let mut table = Table::new("kill at one replica, heard by SSE at another", kills::COLUMNS);
    for (carrier, lines) in
        [("Redis", format!("redis_url: {}", redis.url())), ("NOTIFY", String::new())]
    {
        let database = postgres::Server::new();
        database.create_database(DATABASE, "template0");
        let fleet = Deployment::new(product, &database.url(DATABASE), &lines)?.start(2)?;
        let (from_sent, from_answered) = run(&fleet)?;
        table.push(kills::figures(&format!("{carrier}, from the kill's sending"), from_sent));
        table.push(kills::figures(&format!("{carrier}, from its answer"), from_answered));
    }
    Ok(table)
}

fn run(fleet: &Fleet) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let [at, other] = fleet.addresses[..] else { anyhow::bail!("not two replicas") };
    let heard =
        listen(other, &fleet.request("GET", "/v1/events?types=kill_switch.*").request(b""))?;
    let mut stream = connect(&at)?;
    let (mut from_sent, mut from_answered) = (Vec::new(), Vec::new());
    for number in 0..=KILLS {
        let reason = format!("drill-{number}.");
        let body = format!(r#"{{"agent":"ghost-{number}","reason":"{reason}"}}"#);
        let kill = fleet.request("POST", "/kill").request(body.as_bytes());
        let (sent, answered) = exchange(&mut stream, &kill)?;
        let (line, arrived) = heard.recv_timeout(PATIENCE).context("a kill was not heard")?;
        ensure!(line.contains(&reason), "another event came than that of `{reason}`: {line}");
        // The first warms the way up.
        if number > 0 {
            from_sent.push(arrived - sent);
            // An event may be there before the answer is.
            from_answered.push(arrived.saturating_duration_since(answered));
        }
        thread::sleep(PAUSE);
    }
    Ok((from_sent, from_answered))
}

/// Opens an event stream; returns the data of each event and when it came, once the stream's
/// first one is there.
fn listen(address: SocketAddr, request: &[u8]) -> anyhow::Result<Receiver<(String, Instant)>> {
    let mut stream = connect(&address)?;
    stream.write_all(request)?;
    let (sender, heard): (Sender<(String, Instant)>, _) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if line.starts_with("data: ") && sender.send((line, Instant::now())).is_err() {
                return;
            }
        }
    });
    let (sync, _) = heard.recv_timeout(PATIENCE).context("no event stream")?;
    ensure!(sync.contains("\"event\":\"sync\""), "the stream begins with {sync}");
    // A replica listens to the others from some moment after its start.
    thread::sleep(Duration::from_secs(1));
    Ok(heard)
}
