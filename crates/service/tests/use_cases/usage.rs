//! What policy sees as `input.usage`: that of the window that the call's own rule states, whatever
//! other calls state.
use crate::support::{Answer, App, decision};
use jiff::SignedDuration;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::check::CheckRequest;
use sentinel_core::decision::ReasonCode;
use sentinel_core::policy::PolicyInput;
use sentinel_core::quota::Window;
use sentinel_testkit::build::name;

const HOUR: Window = Window::Hours(1);

async fn check(app: &App, action: &str) -> std::sync::Arc<DecisionRecord> {
    let request = CheckRequest { action: name(action), ..app.request() };
    app.services.checker.check(request).await.unwrap().decision
}

async fn codes(app: &App, action: &str, count: usize) -> Vec<ReasonCode> {
    let mut codes = Vec::new();
    for _ in 0..count {
        codes.push(check(app, action).await.code);
    }
    codes
}

/// `read` may be done three times a day, by a condition; `write` twice an hour, by a condition and
/// a quota; nothing else at all.
fn two_windows(input: &PolicyInput<'_>) -> Answer {
    match input.action.as_str() {
        "read" if input.usage < 3 => decision(true, None),
        "write" if input.usage < 2 => decision(true, Some((2, HOUR))),
        _ => decision(false, None),
    }
}

#[tokio::test]
async fn a_rule_is_judged_by_its_own_window_whatever_other_calls_state() {
    use ReasonCode::{Allowed, PolicyDenied};
    let app = App::start().await;
    app.policy.set_rule(two_windows);
    assert_eq!(codes(&app, "read", 2).await, [Allowed; 2]);
    // Another window beside it neither sees nor resets the day.
    assert_eq!(codes(&app, "write", 1).await, [Allowed]);
    assert_eq!(codes(&app, "read", 2).await, [Allowed, PolicyDenied]);
    // With the day used up, the hour has room still, and the other way about.
    assert_eq!(codes(&app, "write", 2).await, [Allowed, PolicyDenied]);
    assert_eq!(codes(&app, "read", 1).await, [PolicyDenied]);
    let app = app.restart().await;
    assert_eq!(codes(&app, "write", 1).await, [PolicyDenied], "counted before the restart");
    assert_eq!(codes(&app, "read", 1).await, [PolicyDenied], "counted before the restart");
    app.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(codes(&app, "write", 3).await, [Allowed, Allowed, PolicyDenied]);
    assert_eq!(codes(&app, "read", 1).await, [PolicyDenied]);
}

#[tokio::test]
async fn policy_is_asked_once_where_the_window_is_the_day_or_the_usage_the_same() {
    let app = App::start().await;
    app.policy.set(decision(true, Some((9, Window::DAY))));
    for used in 0..3 {
        check(&app, "read").await;
        assert_eq!(app.policy.seen(), [used]);
    }
    app.policy.set(decision(true, None));
    check(&app, "read").await;
    assert_eq!(app.policy.seen(), [3]);
    app.policy.set(decision(false, Some((9, Window::DAY))));
    check(&app, "read").await;
    assert_eq!(app.policy.seen(), [4]);
    // The hour has another usage: that of the day shows the window, and that of the hour decides.
    app.policy.set(decision(true, Some((9, HOUR))));
    for used in 0..2 {
        assert!(check(&app, "read").await.allow);
        assert_eq!(app.policy.seen(), [4, used]);
    }
    // A deny that states nothing: what would be stated with nothing used is the day again.
    app.policy.set(decision(false, None));
    check(&app, "read").await;
    assert_eq!(app.policy.seen(), [4, 0]);
}

#[tokio::test]
async fn a_window_that_depends_on_the_usage_is_refused() {
    let app = App::start().await;
    check(&app, "read").await;
    app.policy.set_rule(|input| {
        let window = if input.usage == 0 { Window::Month } else { HOUR };
        decision(true, Some((9, window)))
    });
    let denied = check(&app, "read").await;
    assert_eq!((denied.allow, denied.code), (false, ReasonCode::PolicyError));
    assert!(
        denied.reason.contains("`1h`") && denied.reason.contains("`month`"),
        "{}",
        denied.reason
    );
    // A rule that falls to a deny by its own window is that deny.
    app.policy.set_rule(|input| match input.usage {
        0 => decision(false, None),
        _ => decision(true, Some((9, HOUR))),
    });
    assert_eq!(check(&app, "read").await.code, ReasonCode::PolicyDenied);
}

#[tokio::test]
async fn a_quota_that_is_visibly_used_up_denies_in_any_window() {
    let app = App::start().await;
    app.policy.set(decision(true, Some((1, Window::Minutes(60)))));
    assert!(check(&app, "read").await.allow);
    let denied = check(&app, "read").await;
    assert_eq!((denied.code, denied.quota_remaining), (ReasonCode::QuotaExceeded, Some(0)));
    assert!(denied.reason.contains("quota of 1 per 1h"), "{}", denied.reason);
}

#[tokio::test]
async fn a_report_of_the_caller_makes_every_window_stricter() {
    let app = App::start().await;
    app.policy.set_rule(two_windows);
    let reported = CheckRequest { action: name("write"), usage: 2, ..app.request() };
    let denied = app.services.checker.check(reported).await.unwrap().decision;
    assert_eq!(denied.code, ReasonCode::PolicyDenied);
    assert!(check(&app, "write").await.allow);
}
