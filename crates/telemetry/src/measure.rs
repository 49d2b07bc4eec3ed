//! Figures that stores, carriers and limiters keep, read at each scrape.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

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

/// How many times something took how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Durations {
    /// Upper bound in seconds, the last one infinite, and how many are in this bucket alone.
    pub buckets: Vec<(f64, u64)>,
    pub sum: Duration,
}

/// A part that keeps figures.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn() -> Vec<Measure> + Send + Sync>);

impl Source {
    /// A source that is read by calling `read`, which must neither wait nor fail.
    pub fn new(read: impl Fn() -> Vec<Measure> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Reads every source at each scrape.
#[derive(Debug)]
pub struct Sources(pub Vec<Source>);

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
