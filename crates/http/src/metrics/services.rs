//! What the use cases count.

use std::sync::Arc;

use sentinel_service::Services;
use sentinel_telemetry::{Measure, Source, Values};

/// Reads what the use cases counted since the start.
pub(super) fn source(services: Arc<Services>) -> Source {
    Source::new(move || {
        let rates = services.checker.rate_decisions();
        let control = services.control.current();
        let monitored = control.policy().monitored.as_ref();
        let candidates = services.policy.candidates();
        let report = monitored.zip(candidates).and_then(|(of, engine)| engine.rollout(of.id));
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
