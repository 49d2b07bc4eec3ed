//! What the parts of this server count, for `/metrics`.

use std::sync::Arc;

use sentinel_core::policy::PolicyEngine as _;
use sentinel_policy::{EmbeddedEngine, OpaEngine, ShadowEngine};
use sentinel_policy_bundles::supply::Keeper;
use sentinel_redis::{RedisEvents, RedisRates};
use sentinel_store_postgres::{PostgresEvents, PostgresStore};
use sentinel_telemetry::{Durations, Labels, Measure, Source, Values};
use sentinel_transparency::OutletCounts;

/// Counters with one label each.
fn counters(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: &[(&'static str, u64)],
) -> Measure {
    let values = values.iter().map(|(value, count)| (vec![(label, *value)], *count)).collect();
    Measure { name, help, values: Values::Counters(values) }
}

fn is(name: &'static str, help: &'static str, labels: Labels, holds: bool) -> Measure {
    Measure { name, help, values: Values::Gauges(vec![(labels, i64::from(holds))]) }
}

/// Events between replicas; the same names whatever carries them.
fn events(carrier: &'static str, connected: bool, counts: &[(&'static str, u64)]) -> Vec<Measure> {
    let connected_help = "Whether events of other replicas are received";
    vec![
        is("carrier_connected", connected_help, vec![("carrier", carrier)], connected),
        counters("carrier_events", "Events between replicas", "what", counts),
    ]
}

pub(crate) fn of_redis_events(carrier: Arc<RedisEvents>) -> Source {
    Source::new(move || {
        let counts = carrier.counters();
        let counts = [
            ("sent", counts.sent),
            ("received", counts.received),
            ("dropped", counts.dropped),
            ("dropped_control", counts.dropped_control),
            ("missed_groups", counts.missed_groups),
            ("malformed", counts.malformed_groups),
            ("disconnects", counts.disconnects),
        ];
        events("redis", carrier.is_connected(), &counts)
    })
}

pub(crate) fn of_notify(carrier: Arc<PostgresEvents>) -> Source {
    Source::new(move || {
        let counts = carrier.counters();
        let counts = [
            ("sent", counts.sent),
            ("received", counts.received),
            // It carries control events only.
            ("dropped_control", counts.dropped),
            ("malformed", counts.malformed),
            ("disconnects", counts.disconnects),
        ];
        events("notify", carrier.is_listening(), &counts)
    })
}

pub(crate) fn of_redis_rates(rates: Arc<RedisRates>) -> Source {
    Source::new(move || {
        let counts = rates.counters();
        let help = "Whether rate limits are counted in Redis";
        let counts = [("answered_without_redis", counts.without_redis), ("losses", counts.losses)];
        vec![
            is("rate_limiter_connected", help, vec![("limiter", "redis")], rates.is_connected()),
            counters("rate_limiter", "Redis as the counter of rate limits", "what", &counts),
        ]
    })
}

pub(crate) fn of_opa(opa: Arc<OpaEngine>) -> Source {
    Source::new(move || {
        let counts = opa.counts();
        let outcomes = [
            ("decided", counts.decided),
            ("undefined", counts.undefined),
            ("malformed", counts.malformed),
            ("failed", counts.failed),
            ("timed_out", counts.timed_out),
            ("unavailable", counts.unavailable),
            ("circuit_open", counts.circuit_open),
        ];
        let open = "Whether OPA is not asked, since it did not answer several times in a row";
        vec![
            is("opa_up", "Whether OPA's health check passes", Vec::new(), opa.is_up()),
            is("opa_circuit_open", open, Vec::new(), opa.is_circuit_open()),
            counters("opa_questions", "Decisions asked of OPA", "outcome", &outcomes),
        ]
    })
}

/// The threads that evaluate, and the one that compares candidates.
pub(crate) fn of_embedded(engine: Arc<EmbeddedEngine>) -> Source {
    Source::new(move || {
        let pools = [("decisions", engine.pool()), ("candidates", engine.candidate_pool())];
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let threads = pools.iter().flat_map(|(pool, counts)| {
            let states = [("working", counts.threads), ("stuck", counts.stuck)];
            states.map(|(state, n)| (vec![("pool", *pool), ("state", state)], gauge(n)))
        });
        let events = pools.iter().flat_map(|(pool, counts)| {
            let events = [
                ("given_up", counts.given_up),
                ("returned", counts.reclaimed),
                ("refused", counts.refused),
            ];
            events.map(|(what, n)| (vec![("pool", *pool), ("what", what)], n))
        });
        vec![
            Measure {
                name: "policy_threads",
                help: "Threads that evaluate policy, and those that do not come back from it",
                values: Values::Gauges(threads.collect()),
            },
            Measure {
                name: "policy_thread_events",
                help: "Evaluations given up, their threads returned later, evaluations refused",
                values: Values::Counters(events.collect()),
            },
        ]
    })
}

pub(crate) fn of_supply(keeper: Arc<Keeper>, engine: Arc<EmbeddedEngine>) -> Source {
    Source::new(move || {
        let counts = keeper.counts();
        let outcomes = [
            ("unchanged", counts.unchanged),
            ("loaded", counts.loaded),
            ("refused", counts.refused),
            ("away", counts.away),
        ];
        let status = engine.status();
        let current = status.revision.is_some() && status.error.is_none();
        let help = "Whether the policy in force is what its source says";
        vec![
            is("policy_current", help, Vec::new(), current),
            counters("policy_source_questions", "Questions for a bundle", "outcome", &outcomes),
        ]
    })
}

pub(crate) fn of_shadow(shadow: Arc<ShadowEngine>) -> Source {
    Source::new(move || {
        let counts = shadow.counts();
        let outcomes = [
            ("agreed", counts.agreed),
            ("disagreed", counts.disagreed),
            ("error", counts.errors),
            ("dropped", counts.dropped),
        ];
        let help = "Decisions compared with the shadow engine";
        vec![counters("policy_shadow_comparisons", help, "outcome", &outcomes)]
    })
}

/// Where the transparency log is sent. All of it is zero on servers that do not lead.
pub(crate) fn of_outlets(outlets: Vec<Arc<OutletCounts>>) -> Source {
    Source::new(move || {
        let each = |count: fn(&OutletCounts) -> u64| {
            let of = |outlet: &Arc<OutletCounts>| (outlet.name, count(outlet));
            outlets.iter().map(of).collect::<Vec<_>>()
        };
        let lag = each(OutletCounts::lag)
            .into_iter()
            .map(|(name, lag)| (vec![("outlet", name)], i64::try_from(lag).unwrap_or(i64::MAX)));
        let failures = "Attempts to send the transparency log that failed";
        let alarms = "Signs that the transparency log was forked or rolled back";
        vec![
            Measure {
                name: "log_outlet_lag",
                help: "Leaves of the transparency log that are not sent yet",
                values: Values::Gauges(lag.collect()),
            },
            counters("log_outlet_failures", failures, "outlet", &each(OutletCounts::failures)),
            counters("log_alarms", alarms, "outlet", &each(OutletCounts::alarms)),
        ]
    })
}

pub(crate) fn of_postgres(store: Arc<PostgresStore>) -> Source {
    Source::new(move || {
        let transactions = store.transactions().into_iter().map(|of| {
            let labels = vec![("name", of.name), ("outcome", of.outcome)];
            (labels, Durations { buckets: of.buckets, sum: of.sum })
        });
        let pool = store.pool_use();
        let connections = [("used", pool.open.saturating_sub(pool.idle)), ("idle", pool.idle)];
        let connections = connections.map(|(state, n)| (vec![("state", state)], i64::from(n)));
        vec![
            Measure {
                name: "transaction_duration_seconds",
                help: "Transactions of the store, from their begin to their end",
                values: Values::Histograms(transactions.collect()),
            },
            Measure {
                name: "database_pool_connections",
                help: "Connections that queries and changes of control state share",
                values: Values::Gauges(connections.to_vec()),
            },
        ]
    })
}
