//! The load: clients that check, sign and redeem, and operators that kill and restore.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use sentinel_core::id::ToolId;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::client::{Client, Seen};
use crate::cluster::Cluster;
use crate::observation::{Call, Scope};
use crate::random::Random;
use crate::world::{AGENTS, BUSY, CALM, FORBIDDEN, MINUTE, PROBE, SMALL, TOOLS};

/// Operators count from here, so that a reader can tell them from the others.
const OPERATORS: u16 = 100;
/// How long a client of one replica waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one waits that has other replicas to go to.
const IMPATIENCE: Duration = Duration::from_secs(3);
/// How long an operator waits: longer than a kill may take in the store.
const OPERATOR: Duration = Duration::from_secs(9);
/// Calls whose identifiers are used again.
const REMEMBERED: usize = 64;

/// What each scope of the operators is, with the range of milliseconds that it stays killed.
const SCOPES: [(Scope, u64, u64); 5] = [
    (Scope::Tool(BUSY, TOOLS[0]), 20, 150),
    (Scope::Tool(BUSY, TOOLS[1]), 20, 400),
    (Scope::Agent(AGENTS[0]), 20, 200),
    (Scope::TenantAgent(BUSY, AGENTS[1]), 20, 200),
    (Scope::Tenant(BUSY), 20, 100),
];

/// The part that all tasks share.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// Which of the small quotas is being used up.
    small: AtomicU8,
    calls: Mutex<VecDeque<Call>>,
    tool_ids: HashMap<&'static str, ToolId>,
}

/// A running load.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Result<()>>,
    operators: JoinSet<Result<()>>,
}

impl Load {
    pub(crate) fn start(cluster: &Cluster, clients: u16, random: &Random) -> Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            small: AtomicU8::new(0),
            calls: Mutex::default(),
            tool_ids: cluster.tool_ids.clone(),
        });
        let mut load = Self { shared, clients: JoinSet::new(), operators: JoinSet::new() };
        for id in 0..clients {
            // Two of three belong to a replica; the others rove.
            let home = (id % 3 != 2).then(|| usize::from(id / 3) % cluster.replicas.len());
            let patience = if home.is_some() { PATIENCE } else { IMPATIENCE };
            let client = cluster.client(id, &cluster.agent_key, patience)?;
            let random = random.part(u64::from(id));
            let worker = Worker { client, home, random, shared: Arc::clone(&load.shared) };
            load.clients.spawn(worker.run());
        }
        for (id, scope) in (OPERATORS..).zip(SCOPES) {
            let client = cluster.client(id, &cluster.operator_key, OPERATOR)?;
            let random = random.part(u64::from(id));
            load.operators.spawn(operate(client, scope, random, Arc::clone(&load.shared)));
        }
        Ok(load)
    }

    /// Goes on to the next small quota.
    pub(crate) fn next_quota(&self) {
        self.shared.small.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the operators restore what they killed, then ends the load.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(operator) = self.operators.join_next().await {
            operator??;
        }
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok(())
    }
}

/// One client: checks, and what follows an allow.
struct Worker {
    client: Client,
    home: Option<usize>,
    random: Random,
    shared: Arc<Shared>,
}

impl Worker {
    async fn run(mut self) -> Result<()> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let replica = self.replica();
            let call = self.call();
            let seen = self.client.check(replica, call.clone()).await?;
            if let (true, Ok(answered)) = (seen.allows(), &seen.answer)
                && let Some(decision) = answered.decision
            {
                self.after_allow(&call, decision, &seen).await?;
            }
            let pause = if seen.status() == Some(200) { (0, 8) } else { (10, 50) };
            sleep(self.random.millis(pause.0, pause.1)).await;
        }
        Ok(())
    }

    fn replica(&mut self) -> usize {
        let any = self.random.below(self.client.replicas());
        self.home.unwrap_or(any)
    }

    fn call(&mut self) -> Call {
        if self.random.percent(10)
            && let Some(call) = self.known_call()
        {
            return call;
        }
        let tool = match self.random.below(100) {
            0..60 => self.random.pick(&TOOLS, PROBE),
            60..85 => self.small(),
            85..95 => MINUTE,
            _ => FORBIDDEN,
        };
        let agent =
            if self.random.percent(80) { Some(self.random.pick(&AGENTS, "ann")) } else { None };
        let with_id = self.random.percent(15);
        let call_id = with_id.then(|| format!("{:016x}", self.random.next()).into_boxed_str());
        let call = Call { tenant: BUSY, tool, agent, call_id };
        if with_id {
            let mut calls = self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push_back(call.clone());
            if calls.len() > REMEMBERED {
                calls.pop_front();
            }
        }
        call
    }

    fn known_call(&mut self) -> Option<Call> {
        let calls = self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.random.below(calls.len());
        calls.get(index).cloned()
    }

    fn small(&self) -> &'static str {
        let index = usize::from(self.shared.small.load(Ordering::Relaxed)) % SMALL.len();
        SMALL.get(index).copied().unwrap_or(MINUTE)
    }

    async fn after_allow(&mut self, call: &Call, decision: Uuid, seen: &Seen) -> Result<()> {
        if self.random.percent(10) {
            let replica = self.replica();
            self.client.sign(replica, call, decision).await?;
        }
        let permit = seen.permit.as_deref();
        let tool_id = self.shared.tool_ids.get(call.tool).copied();
        if let (true, Some(permit), Some(tool_id)) = (self.random.percent(8), permit, tool_id) {
            // Twice, mostly at different replicas: it may be redeemed once.
            for _ in 0..2 {
                let replica = self.replica();
                self.client.redeem(replica, permit, tool_id, decision).await?;
            }
        }
        Ok(())
    }
}

/// Kills and restores one scope over and over. What was killed is restored before this ends.
async fn operate(
    client: Client,
    (scope, shortest, longest): (Scope, u64, u64),
    mut random: Random,
    shared: Arc<Shared>,
) -> Result<()> {
    while !shared.stop.load(Ordering::Relaxed) {
        sleep(random.millis(200, 900)).await;
        let killed = client.kill(random.below(client.replicas()), scope).await?;
        if killed.status() == Some(200) {
            sleep(random.millis(shortest, longest)).await;
        }
        restore(&client, scope, &mut random).await?;
    }
    Ok(())
}

/// Restores until that is acknowledged: a kill whose answer is unknown may be in force, too.
async fn restore(client: &Client, scope: Scope, random: &mut Random) -> Result<()> {
    for _ in 0..200 {
        let restored = client.restore(random.below(client.replicas()), scope).await?;
        match restored.status() {
            Some(200) => return Ok(()),
            // A wider kill covers it, and ends soon.
            Some(409) | None => sleep(random.millis(5, 40)).await,
            Some(_) => sleep(random.millis(50, 150)).await,
        }
    }
    anyhow::bail!("{scope} could not be restored");
}

/// Kills everything for a moment, while no fault is in force.
pub(crate) async fn kill_everything(client: &Client, random: &mut Random) -> Result<()> {
    client.kill(random.below(client.replicas()), Scope::Global).await?;
    sleep(random.millis(20, 150)).await;
    restore(client, Scope::Global, random).await
}

/// The call by which it is found out whether a replica allows.
pub(crate) const fn probe() -> Call {
    Call { tenant: CALM, tool: PROBE, agent: None, call_id: None }
}
