use super::*;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

fn limit(limit: u64, seconds: u64, burst: u64) -> RateLimit {
    RateLimit::new(limit, Duration::from_secs(seconds), Some(burst)).unwrap()
}

fn obligation(value: Value) -> Obligation {
    serde_json::from_value(value).unwrap()
}

#[test]
fn an_obligation_states_a_limit() {
    let stated = obligation(
        json!({"type": "rate_limit", "scope": "agent_tool", "limit": 5, "period": "2m", "burst": 7}),
    );
    let rule = RateRule::of_obligation(&stated).unwrap().unwrap();
    assert_eq!(rule, RateRule { scope: RateScope::AgentTool, limit: limit(5, 120, 7) });
    assert_eq!(rule.limit.to_string(), "5 per 2m (burst 7)");
    let other = obligation(json!({"type": "alert", "scope": 1}));
    assert_eq!(RateRule::of_obligation(&other), Ok(None));
}

#[rstest]
#[case(json!({"limit": 5, "period": "1s"}), RateLimitError::Scope)]
#[case(json!({"scope": "global", "limit": 5, "period": "1s"}), RateLimitError::Scope)]
#[case(json!({"scope": "tool", "period": "1s"}), RateLimitError::Limit)]
#[case(json!({"scope": "tool", "limit": 0, "period": "1s"}), RateLimitError::Limit)]
#[case(json!({"scope": "tool", "limit": -1, "period": "1s"}), RateLimitError::Limit)]
#[case(json!({"scope": "tool", "limit": 1.5, "period": "1s"}), RateLimitError::Limit)]
#[case(json!({"scope": "tool", "limit": "5", "period": "1s"}), RateLimitError::Limit)]
#[case(json!({"scope": "tool", "limit": 1_000_001, "period": "1s"}), RateLimitError::Limit)]
#[case(json!({"scope": "tool", "limit": 5}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": 1}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": "0s"}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": "+1s"}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": "1 s"}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": "2d"}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": "1ß"}), RateLimitError::Period)]
#[case(json!({"scope": "tool", "limit": 5, "period": "1s", "burst": 0}), RateLimitError::Burst)]
#[case(json!({"scope": "tool", "limit": 5, "period": "1s", "burst": null}), RateLimitError::Burst)]
#[case(json!({"scope": "tool", "limit": 1, "period": "1d", "burst": 31}), RateLimitError::Burst)]
#[case(json!({"scope": "tool", "limit": 5, "period": "1s", "brust": 9}), RateLimitError::UnknownField)]
fn a_malformed_obligation_is_an_error(#[case] fields: Value, #[case] expected: RateLimitError) {
    let mut malformed = obligation(json!({"type": "rate_limit"}));
    malformed.fields = fields.as_object().unwrap().clone();
    assert_eq!(RateRule::of_obligation(&malformed), Err(expected));
}

#[test]
fn a_demand_names_only_what_its_scope_counts_by() {
    let (tenant, tool) = (TenantId(uuid::Uuid::nil()), ToolId(uuid::Uuid::nil()));
    let agent: AgentName = "bot".parse().unwrap();
    let of = |scope| RateRule { scope, limit: limit(1, 1, 1) }.demand(tenant, tool, Some(&agent));
    let named = |scope| (of(scope).tool_id.is_some(), of(scope).agent.is_some());
    assert_eq!(named(RateScope::Tenant), (false, false));
    assert_eq!(named(RateScope::Agent), (false, true));
    assert_eq!(named(RateScope::Tool), (true, false));
    assert_eq!(named(RateScope::AgentTool), (true, true));
}

#[test]
fn the_wait_that_is_told_is_exact() {
    let limit = limit(10, 1, 1);
    let state = RateState::default().take(&limit, 1_000_000).unwrap();
    let wait = state.take(&limit, 1_040_000).unwrap_err();
    assert_eq!(wait, Duration::from_millis(60));
    assert!(state.take(&limit, 1_099_999).is_err());
    assert!(state.take(&limit, 1_100_000).is_ok());
}

fn limits() -> impl Strategy<Value = RateLimit> {
    (1_u64..2000, 1_u64..120, 1_u64..300).prop_map(|(n, seconds, burst)| limit(n, seconds, burst))
}

/// Times of the grants, given the clock's readings.
fn grants(limit: &RateLimit, readings: &[u64]) -> Vec<u64> {
    let mut state = RateState::default();
    let mut granted = Vec::new();
    for now in readings {
        if let Ok(next) = state.take(limit, *now) {
            state = next;
            granted.push(*now);
        }
    }
    granted
}

proptest! {
    #[test]
    fn periods_read_back_and_nothing_else_panics(text in ".{0,8}", count in 1_u64..86_400) {
        prop_assert!(parse_period(&text).map_or(true, |period| period <= Duration::from_secs(86_400)));
        prop_assert_eq!(parse_period(&format!("{count}s")), Ok(Duration::from_secs(count)));
    }

    /// In no interval between two grants more than burst + elapsed * rate.
    #[test]
    fn no_interval_holds_more_than_burst_and_rate(
        limit in limits(),
        steps in prop::collection::vec(0_u64..200_000, 1..400),
    ) {
        let mut now = 1_700_000_000_000_000;
        let readings: Vec<u64> = steps.iter().map(|step| { now += step; now }).collect();
        let granted = grants(&limit, &readings);
        for (first, start) in granted.iter().enumerate() {
            for (last, end) in granted.iter().enumerate().skip(first) {
                let elapsed = u128::from(end - start);
                let by_rate = elapsed * u128::from(limit.limit())
                    / (u128::from(limit.period().as_secs()) * 1_000_000);
                let count = (last - first + 1) as u128;
                prop_assert!(count <= u128::from(limit.burst()) + by_rate);
            }
        }
    }

    /// A clock that jumps about grants no more than one that never went back.
    #[test]
    fn going_backwards_never_grants_more(
        limit in limits(),
        readings in prop::collection::vec(0_u64..20_000_000, 1..300),
    ) {
        let granted = grants(&limit, &readings).len() as u128;
        let span = u128::from(readings.iter().max().unwrap() - readings[0]);
        let by_rate = span * u128::from(limit.limit())
            / (u128::from(limit.period().as_secs()) * 1_000_000);
        prop_assert!(granted <= u128::from(limit.burst()) + by_rate);
    }

    /// A caller that waits as long as it is told gets its call, and the rate as stated.
    #[test]
    fn waiting_as_told_is_enough(limit in limits(), calls in 1_usize..200) {
        let (mut state, mut now) = (RateState::default(), 5_000_000_u64);
        for _ in 0..calls {
            if let Err(wait) = state.take(&limit, now) {
                now += u64::try_from(wait.as_nanos().div_ceil(1000)).unwrap();
            }
            state = state.take(&limit, now).unwrap();
        }
    }

    #[test]
    fn shares_add_up_to_no_more_than_the_rate(limit in limits(), replicas in 1_u32..20) {
        let share = limit.share(replicas);
        prop_assert_eq!(share.interval(), limit.interval() * u64::from(replicas));
        let bursts = share.burst() * u64::from(replicas);
        prop_assert!(bursts <= limit.burst().max(u64::from(replicas)));
    }
}
