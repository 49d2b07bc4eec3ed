//! The faults: each is brought about, held for a while and healed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::observation::Trace;
use crate::proxy::Mode;
use crate::random::Random;

/// What is done to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// PostgreSQL is restarted in good order, cutting connections.
    PostgresRestart,
    /// Every process of PostgreSQL gets `kill -9`.
    PostgresCrash,
    /// Redis gets `kill -9` and comes back empty.
    RedisLoss,
    /// A replica gets `kill -9`.
    ReplicaKill,
    /// A replica is stopped by SIGSTOP for longer than its transactions live, then goes on.
    ReplicaPause,
    /// Nothing passes between a replica and the database, and arrives later.
    DatabaseStall,
    /// A replica's connections to the database are cut, and refused.
    DatabaseRefuse,
    /// The file system of the tables has no room.
    DiskFull,
    /// The clock of one replica jumps ahead, and back.
    ClockJump,
}

impl Kind {
    /// Whether it hits one replica only, so that it can go with one that hits all.
    pub(crate) const fn is_of_replica(self) -> bool {
        matches!(
            self,
            Self::ReplicaKill
                | Self::ReplicaPause
                | Self::DatabaseStall
                | Self::DatabaseRefuse
                | Self::ClockJump
        )
    }

    /// What shows that the fault did something.
    const fn trace(self) -> Trace {
        match self {
            // Nothing that is promised rests on it.
            Self::RedisLoss => Trace::None,
            Self::ClockJump => Trace::OddTimes,
            _ => Trace::FailedRequests,
        }
    }
}

/// Brings a fault about, holds it and heals it; the time is longer by up to `stretch`.
pub(crate) async fn inflict(
    kind: Kind,
    cluster: &Cluster,
    random: &mut Random,
    stretch: Duration,
) -> Result<()> {
    let from = cluster.journal.now();
    let stretch = u64::try_from(stretch.as_millis())?;
    let mut hold = |millis: u64| random.millis(millis, millis + stretch);
    let what = match kind {
        Kind::PostgresRestart => {
            restart_postgres(cluster, Signal::INT, hold(200)).await?;
            "PostgreSQL restarted".to_owned()
        }
        Kind::PostgresCrash => {
            restart_postgres(cluster, Signal::KILL, hold(200)).await?;
            "PostgreSQL killed and started again".to_owned()
        }
        Kind::RedisLoss => {
            let mut redis = cluster.redis.lock().await;
            redis.kill();
            sleep(hold(1500)).await;
            redis.restart();
            "Redis killed and started again, empty".to_owned()
        }
        Kind::DiskFull => {
            let disk = cluster.disk.as_ref().context("there is no small disk")?;
            disk.fill()?;
            sleep(hold(2500)).await;
            disk.free()?;
            "the disk of the tables was full".to_owned()
        }
        Kind::ClockJump => {
            jump(cluster, hold(1800)).await?;
            "the clock of the last replica was 3 h ahead, then 3 h behind".to_owned()
        }
        Kind::ReplicaKill | Kind::ReplicaPause | Kind::DatabaseStall | Kind::DatabaseRefuse => {
            let pause = hold(match kind {
                Kind::ReplicaKill => 300,
                Kind::DatabaseRefuse => 1500,
                // Longer than a transaction may wait for its client.
                _ => 3500,
            });
            let index = random.below(cluster.replicas.len());
            of_replica(kind, cluster, index, pause).await?
        }
    };
    cluster.journal.happened(from, what, kind.trace());
    Ok(())
}

async fn of_replica(
    kind: Kind,
    cluster: &Cluster,
    index: usize,
    pause: Duration,
) -> Result<String> {
    let mut replica = cluster.replicas.get(index).context("no such replica")?.lock().await;
    Ok(match kind {
        Kind::ReplicaKill => {
            replica.kill().await?;
            sleep(pause).await;
            replica.supervise().await?;
            format!("replica {index} killed and started again")
        }
        Kind::ReplicaPause => {
            replica.pause()?;
            sleep(pause).await;
            replica.resume()?;
            format!("replica {index} stopped for {pause:?}")
        }
        Kind::DatabaseStall => {
            replica.database.set(Mode::Stall);
            replica.redis.set(Mode::Stall);
            sleep(pause).await;
            replica.database.set(Mode::Pass);
            replica.redis.set(Mode::Pass);
            format!("replica {index} partitioned for {pause:?}")
        }
        _ => {
            replica.database.set(Mode::Refuse);
            sleep(pause).await;
            replica.database.set(Mode::Pass);
            format!("replica {index} refused by the database for {pause:?}")
        }
    })
}

async fn jump(cluster: &Cluster, pause: Duration) -> Result<()> {
    let replica = cluster.replicas.last().context("no replicas")?.lock().await;
    for hours in [3, -3, 0] {
        replica.set_clock(hours)?;
        sleep(pause).await;
    }
    Ok(())
}

async fn restart_postgres(cluster: &Cluster, signal: Signal, pause: Duration) -> Result<()> {
    let pid = std::fs::read_to_string(cluster.data.join("postmaster.pid"))?;
    let pid = pid.lines().next().context("no process")?.trim().parse()?;
    kill_process(Pid::from_raw(pid).context("no process")?, signal)?;
    if signal == Signal::KILL {
        // Else the others finish the commits that they are in.
        for pid in processes_in(&cluster.data) {
            // It may be gone already.
            let _ = kill_process(pid, signal);
        }
    }
    wait_until_gone(&cluster.data).await?;
    sleep(pause).await;
    let postgres = Arc::clone(&cluster.postgres);
    Ok(tokio::task::spawn_blocking(move || postgres.restart()).await?)
}

/// Every process of the server works in its data directory.
async fn wait_until_gone(data: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if processes_in(data).is_empty() {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    bail!("PostgreSQL does not end")
}

fn processes_in(directory: &Path) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let inside = processes.filter(|process| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == directory)
    });
    inside
        .filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?))
        .collect()
}
