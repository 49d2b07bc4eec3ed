//! Figures that others keep: what stores, carriers and limiters count, read when they are asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use sentinel_service::Services;

/// Names and values of labels. Both are part of the program, so none is a client's choice.
pub type Labels = Vec<(&'static str, &'static str)>;

/// One metric, with its values now.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Without the prefix `sentinel_`, and for counters without `_total`.
    pub name: &'static str,
    pub help: &'static str,
    pub values: Values,
}

/// Values of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Counters(Vec<(Labels, u64)>),
    Gauges(Vec<(Labels, i64)>),
    Histograms(Vec<(Labels, Durations)>),
}

/// How often something took how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Durations {
    /// Upper bound in seconds, the last one infinite, and how many are in this bucket alone.
    pub buckets: Vec<(f64, u64)>,
    pub sum: Duration,
}

/// Somebody who keeps figures.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn() -> Vec<Measure> + Send + Sync>);

impl Source {
    /// A source that is read by calling `read`, which must neither wait nor fail.
    pub fn new(read: impl Fn() -> Vec<Measure> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What the use cases count.
    pub(crate) fn of_services(services: Arc<Services>) -> Self {
        Self::new(move || {
            let rates = services.checker.rate_decisions();
            let control = services.control.current();
            let monitored = control.policy().monitored.as_ref();
            let report = monitored.and_then(|rollout| services.policy.rollout(rollout.id));
            let report = report.unwrap_or_default();
            let outcome = |outcome, count| (vec![("outcome", outcome)], count);
            let tests = services.self_tests.counts();
            let passed_at = services.self_tests.last().and_then(|report| report.passed_at);
            vec![
                Measure {
                    name: "kill_self_tests",
                    help: "Self-tests of the kill switch",
                    values: Values::Counters(vec![
                        outcome("passed", tests.passed),
                        outcome("failed", tests.failed),
                        outcome("not_tried", tests.not_tried),
                    ]),
                },
                Measure {
                    name: "kill_self_test_passed_timestamp_seconds",
                    help: "When a self-test of the kill switch passed last; 0 before the first",
                    values: Values::Gauges(vec![(
                        Vec::new(),
                        passed_at.map_or(0, |time| time.as_second()),
                    )]),
                },
                Measure {
                    name: "rate_limit_decisions",
                    help: "Calls with rate limits",
                    values: Values::Counters(vec![
                        outcome("granted", rates.granted),
                        outcome("limited", rates.limited),
                        outcome("unavailable", rates.unavailable),
                    ]),
                },
                Measure {
                    name: "policy_rollout_comparisons",
                    help: "Decisions compared with the candidate policy that is monitored now",
                    values: Values::Counters(vec![
                        outcome("agreed", report.agreed),
                        outcome("newly_allowed", report.newly_allowed),
                        outcome("newly_denied", report.newly_denied),
                        outcome("otherwise", report.otherwise),
                        outcome("dropped", report.dropped),
                    ]),
                },
            ]
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Reads every source at each scrape.
#[derive(Debug)]
pub(crate) struct Sources(pub(crate) Vec<Source>);

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().flat_map(|Source(read)| read()).try_for_each(|m| write(&m, &mut encoder))
    }
}

fn write(measure: &Measure, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = match &measure.values {
        Values::Counters(_) => MetricType::Counter,
        Values::Gauges(_) => MetricType::Gauge,
        Values::Histograms(_) => MetricType::Histogram,
    };
    let mut family = encoder.encode_descriptor(measure.name, measure.help, None, kind)?;
    match &measure.values {
        Values::Counters(all) => all.iter().try_for_each(|(labels, value)| {
            family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)
        }),
        Values::Gauges(all) => all
            .iter()
            .try_for_each(|(labels, value)| family.encode_family(labels)?.encode_gauge(value)),
        Values::Histograms(all) => all.iter().try_for_each(|(labels, histogram)| {
            let Durations { buckets, sum } = histogram;
            let count = buckets.iter().map(|(_, count)| count).sum();
            let mut encoder = family.encode_family(labels)?;
            encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, buckets, None)
        }),
    }
}
