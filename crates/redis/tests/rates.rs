//! Rate limits shared by replicas, over a real Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sentinel_core::id::{TenantId, ToolId};
use sentinel_core::rate::{
    RateDemand, RateError, RateLimit, RateLimiter, RateRule, RateScope, RateVerdict,
};
use sentinel_redis::{OnRedisLoss, RateSettings, RedisRates, RedisTarget};
use sentinel_service::rate::LocalRates;
use sentinel_testkit::redis::RedisServer;
use uuid::Uuid;

const SLOW: Duration = Duration::from_secs(2);

async fn start(server: &RedisServer, on_loss: OnRedisLoss) -> Arc<RedisRates> {
    // Generous, so that a busy machine is not taken for a lost Redis.
    start_with(server, RateSettings { timeout: SLOW, on_loss, ..RateSettings::default() }).await
}

async fn start_with(server: &RedisServer, settings: RateSettings) -> Arc<RedisRates> {
    let target = RedisTarget::new(&server.url(), None).unwrap();
    let rates = Arc::new(RedisRates::start(&target, settings).unwrap());
    until("it connects", || rates.is_connected()).await;
    rates
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn rule(scope: RateScope, limit: u64, seconds: u64, burst: u64) -> RateRule {
    let limit = RateLimit::new(limit, Duration::from_secs(seconds), Some(burst)).unwrap();
    RateRule { scope, limit }
}

const TENANT: TenantId = TenantId(Uuid::from_u128(1));

fn demand(rule: RateRule, agent: &str) -> RateDemand {
    rule.demand(TENANT, ToolId(Uuid::from_u128(2)), Some(&agent.parse().unwrap()))
}

async fn granted(rates: &dyn RateLimiter, demands: &[RateDemand]) -> bool {
    rates.take(demands).await.unwrap() == RateVerdict::Granted
}

/// Asks from `tasks` tasks for `time`; returns how many were granted in how many seconds.
async fn hammer(
    limiters: &[Arc<RedisRates>],
    demand: &RateDemand,
    tasks: usize,
    time: Duration,
) -> (u64, f64) {
    let count = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let rates = Arc::clone(&limiters[task % limiters.len()]);
            let (count, demand) = (Arc::clone(&count), [demand.clone()]);
            tokio::spawn(async move {
                while start.elapsed() < time {
                    if granted(&*rates, &demand).await {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (count.load(Ordering::SeqCst), start.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_together_grant_exactly_the_limit() {
    let server = RedisServer::start();
    let replicas =
        [start(&server, OnRedisLoss::Deny).await, start(&server, OnRedisLoss::Deny).await];
    let demand = demand(rule(RateScope::Tenant, 500, 1, 50), "a");
    let (count, seconds) = hammer(&replicas, &demand, 64, Duration::from_secs(3)).await;
    let most = 50.0 + 500.0 * seconds;
    let count = count as f64;
    assert!(count <= most, "{count} granted, {most} allowed");
    assert!(count >= 50.0 + 500.0 * 3.0 * 0.95, "only {count} of {most} granted");
    assert_eq!(replicas[0].counters().without_redis, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_limits_of_a_check_are_taken_from_or_none() {
    let server = RedisServer::start();
    let rates = start(&server, OnRedisLoss::Deny).await;
    let wide = demand(rule(RateScope::Tenant, 1, 3600, 3), "a");
    let narrow = demand(rule(RateScope::Agent, 1, 60, 1), "a");
    let both = [wide.clone(), narrow.clone()];
    assert!(granted(&*rates, &both).await);
    for _ in 0..5 {
        let RateVerdict::Limited { rule, retry_after } = rates.take(&both).await.unwrap() else {
            panic!("more than the burst was granted");
        };
        assert_eq!(rule, narrow.rule);
        assert!(retry_after <= Duration::from_secs(60) && retry_after > Duration::from_secs(50));
    }
    // The five denied ones took nothing from the wide limit.
    let other = [wide, demand(narrow.rule, "b")];
    assert!(granted(&*rates, &other[..1]).await);
    assert!(granted(&*rates, &other).await);
    assert!(!granted(&*rates, &other[..1]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_apart_is_counted_apart_and_waits_are_kept() {
    let server = RedisServer::start();
    let rates = start(&server, OnRedisLoss::Deny).await;
    let rule = rule(RateScope::AgentTool, 10, 1, 1);
    for agent in ["-", "=", "a", "a:b", "}x{"] {
        assert!(granted(&*rates, &[demand(rule, agent)]).await, "{agent}");
        assert!(!granted(&*rates, &[demand(rule, agent)]).await, "{agent}");
    }
    let nameless = rule.demand(TENANT, ToolId(Uuid::from_u128(2)), None);
    assert!(granted(&*rates, &[nameless]).await, "no agent is not the agent `-`");
    let verdict = rates.take(&[demand(rule, "a")]).await.unwrap();
    if let RateVerdict::Limited { retry_after, .. } = verdict {
        tokio::time::sleep(retry_after).await;
        assert!(granted(&*rates, &[demand(rule, "a")]).await, "waiting as told is enough");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lie_in_the_tenants_slot_and_expire_once_the_debt_is_paid() {
    let server = RedisServer::start();
    let rates = start(&server, OnRedisLoss::Deny).await;
    let demands = [
        demand(rule(RateScope::Tenant, 100, 1, 20), "a"),
        demand(rule(RateScope::AgentTool, 1, 60, 1), "a}b"),
    ];
    assert!(granted(&*rates, &demands).await);
    let client = redis::Client::open(server.url()).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut admin).await.unwrap();
    assert_eq!(keys.len(), 2);
    for key in &keys {
        let tag = key.split_once('{').unwrap().1.split_once('}').unwrap().0;
        assert_eq!(tag, TENANT.to_string());
        let millis: i64 = redis::cmd("PTTL").arg(key).query_async(&mut admin).await.unwrap();
        let most = if key.contains("agent_tool") { 60_001 } else { 11 };
        // It may be gone by now, which is -2; -1 would be a key that never expires.
        assert!(millis != -1 && millis <= most, "{key} lives for {millis} ms");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_cannot_be_read_is_not_a_free_pass_and_is_replaced() {
    let server = RedisServer::start();
    let rates = start(&server, OnRedisLoss::Deny).await;
    let demands = [demand(rule(RateScope::Tenant, 10, 1, 1), "a")];
    assert!(granted(&*rates, &demands).await);
    let client = redis::Client::open(server.url()).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut admin).await.unwrap();
    redis::cmd("SET").arg(&keys).arg("garbage").query_async::<()>(&mut admin).await.unwrap();
    assert!(!granted(&*rates, &demands).await);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(granted(&*rates, &demands).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_is_loaded_again_when_redis_forgot_it() {
    let server = RedisServer::start();
    let rates = start(&server, OnRedisLoss::Deny).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut admin).await.unwrap();
    assert!(granted(&*rates, &[demand(rule(RateScope::Tenant, 1, 1, 1), "a")]).await);
    assert_eq!(rates.counters().losses, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_redis_denies_at_no_cost_until_it_is_back() {
    let mut server = RedisServer::start();
    let rates = start_with(&server, RateSettings::default()).await;
    let demands = [demand(rule(RateScope::Tenant, 1000, 1, 1000), "a")];
    assert!(granted(&*rates, &demands).await);
    server.kill();
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(matches!(rates.take(&demands).await, Err(RateError::Unavailable(_))));
    }
    assert!(start.elapsed() < Duration::from_secs(1), "1000 denies took {:?}", start.elapsed());
    assert!(rates.counters().without_redis >= 1000);
    server.restart();
    until("it connects again", || rates.is_connected()).await;
    assert!(granted(&*rates, &demands).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_costs_one_timeout_and_not_one_for_each_check() {
    let server = RedisServer::start();
    let rates = start_with(&server, RateSettings::default()).await;
    let demands = [demand(rule(RateScope::Tenant, 1000, 1, 1000), "a")];
    assert!(granted(&*rates, &demands).await);
    server.pause();
    let start = Instant::now();
    for _ in 0..200 {
        assert!(rates.take(&demands).await.is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(2), "200 denies took {:?}", start.elapsed());
    server.resume();
    until("it is used again", || rates.is_connected()).await;
    assert!(granted(&*rates, &demands).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_the_local_share_is_never_exceeded() {
    let mut server = RedisServer::start();
    let share = OnRedisLoss::LocalShare { replicas: 4, local: Arc::new(LocalRates::default()) };
    let rates = start(&server, share).await;
    let demand = demand(rule(RateScope::Tenant, 400, 1, 40), "a");
    server.kill();
    while rates.is_connected() {
        let _ = rates.take(std::slice::from_ref(&demand)).await;
    }
    let (count, seconds) = hammer(&[Arc::clone(&rates)], &demand, 8, Duration::from_secs(1)).await;
    let (count, most) = (count as f64, 10.0 + 100.0 * seconds);
    assert!(count <= most, "{count} granted, {most} allowed");
    assert!(count >= 80.0, "only {count} of {most} granted");
    server.restart();
    until("it connects again", || rates.is_connected()).await;
    let (count, seconds) = hammer(&[rates], &demand, 8, Duration::from_secs(1)).await;
    let most = 40.0 + 400.0 * seconds;
    assert!(count as f64 <= most && count as f64 > 300.0, "{count} granted, {most} allowed");
}
