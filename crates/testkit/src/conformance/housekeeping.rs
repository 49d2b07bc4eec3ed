//! Housekeeping: what has expired goes, and nothing that is still needed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sentinel_core::commit::{Outcome, claims_expire_before};
use sentinel_core::decision::ReasonCode;
use sentinel_core::housekeeping::{
    AT_ONCE, Expiring, LONGEST_SKEW, PERMIT_LIFETIME, Reading, claims_before,
};
use sentinel_core::id::DecisionId;
use sentinel_core::permit::Redeemed;
use sentinel_core::principal::Principal;
use sentinel_core::quota::Window;
use uuid::Uuid;

use super::{Scene, Shared, recorded};
use crate::build;

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// So many seconds before the hour that has just begun: the database's clock must be later.
fn ago(seconds: i64) -> Timestamp {
    let now = Timestamp::now().as_second() / 3600 * 3600;
    Timestamp::from_second(now - seconds).unwrap()
}

/// Takes the housekeeping of a replica whose last reading was so long ago.
async fn believed(scene: &Scene, now: Timestamp, elapsed: Duration) -> Timestamp {
    let taken = scene.store.take_housekeeping(Uuid::nil(), Reading { now, elapsed }).await;
    taken.unwrap().expect("no other replica keeps house")
}

/// Deletes all that has expired; returns how many claims, counters and permits.
async fn keep_house(scene: &Scene, believed: Timestamp) -> [u64; 3] {
    let mut removed = [scene.store.expire_claims(claims_before(believed)).await.unwrap(), 0, 0];
    for (index, what) in Expiring::ALL.into_iter().enumerate() {
        loop {
            let deleted = scene.store.expire(what, what.before(believed)).await.unwrap();
            assert!(deleted <= AT_ONCE, "a batch of {deleted}");
            removed[index + 1] += deleted;
            if deleted < AT_ONCE {
                break;
            }
        }
    }
    removed
}

async fn commit_at(scene: &Scene, checks: &[build::Check], at: Timestamp) -> Vec<Outcome> {
    let pendings = checks.iter().map(|check| check.clone().at(at).pending()).collect();
    let batch = build::batch(&scene.control().await, pendings);
    let done = scene.store.commit_decisions(batch, claims_expire_before(at)).await;
    done.unwrap().into_committed().outcomes
}

/// Redeems the permit of the decision `id` that `check` led to; returns whether that was done.
async fn redeem(scene: &Scene, check: &build::Check, id: DecisionId, at: Timestamp) -> bool {
    let redemption = check.clone().at(at).redemption(id, Principal::LOCAL);
    scene.store.redeem_permit(redemption).await.unwrap().0 == Redeemed::Done
}

/// A year of the traffic of three tools, a day at a time. What is kept stays within what a few days
/// need, however long it goes on; and the quota of the month never starts again in between.
pub async fn a_year_leaves_no_more_than_a_few_days_need(store: Shared) {
    let scene = Scene::new(store).await;
    let (hourly, daily) = (scene.add_tool("hourly").await, scene.add_tool("daily").await);
    let mut kept = [0_i64; 3];
    let mut most = [0_i64; 3];
    let mut months = std::collections::HashMap::<(i16, i8), u64>::new();
    for day in 0..365_i64 {
        let at = ago((366 - day) * 86_400);
        let control = scene.control().await;
        let of = |tool: &str, window| build::check(&control, "acme", tool).quota(10, window);
        let checks = [
            of("search", Window::Month),
            of(hourly.name.as_str(), Window::Hours(1)).call_id(&format!("a-{day}")),
            of(daily.name.as_str(), Window::DAY).call_id(&format!("b-{day}")),
        ];
        let outcomes = commit_at(&scene, &checks, at).await;
        let records: Vec<_> = outcomes.into_iter().map(recorded).collect();
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let month = (date.year(), date.month());
        let granted = months.entry(month).or_default();
        let first_of_month = *granted == 0;
        *granted += u64::from(records[0].allow);
        assert!(*granted <= 10, "the quota of {month:?} was set back");
        let allowed = || records.iter().zip(&checks).filter(|(record, _)| record.allow);
        for (record, check) in allowed() {
            assert!(redeem(&scene, check, record.id, at).await);
            kept[2] += 1;
        }
        kept[0] += 2;
        kept[1] += 2 + i64::from(first_of_month);
        let believed = believed(&scene, at, DAY).await;
        for (index, removed) in keep_house(&scene, believed).await.into_iter().enumerate() {
            kept[index] -= i64::try_from(removed).unwrap();
            assert!(kept[index] >= 0, "more was deleted than there was");
            most[index] = most[index].max(kept[index]);
        }
        for (record, check) in allowed() {
            let again = redeem(&scene, check, record.id, at).await;
            assert!(!again, "a permit was redeemed twice on day {day}");
        }
    }
    let [claims, counters, permits] = most;
    assert!(claims <= 3 * 2, "{claims} claims at most");
    assert!(counters <= 3 * 2 + 2, "{counters} counters at most");
    assert!(permits <= 3 * 3, "{permits} permits at most");
}

pub async fn nothing_goes_before_its_expiry_and_the_longest_skew(store: Shared) {
    let scene = Scene::new(store).await;
    let at = ago(10 * 86_400);
    let check = scene.check().await.quota(1, Window::Hours(1)).call_id("call-1");
    let record = recorded(commit_at(&scene, std::slice::from_ref(&check), at).await.remove(0));
    assert!(redeem(&scene, &check, record.id, at).await);
    let end = Window::Hours(1).span(at).unwrap().end;

    let counters_go = end.checked_add(LONGEST_SKEW).unwrap();
    let permits_go = at.checked_add(LONGEST_SKEW).unwrap().checked_add(PERMIT_LIFETIME).unwrap();
    for (what, goes) in [(Expiring::Counters, counters_go), (Expiring::Permits, permits_go)] {
        assert_eq!(scene.store.expire(what, what.before(goes)).await, Ok(0), "{what:?}");
        let later = goes.checked_add(SECOND).unwrap();
        assert_eq!(scene.store.expire(what, what.before(later)).await, Ok(1), "{what:?}");
    }
    let claims_go = at.checked_add(LONGEST_SKEW * 2).unwrap();
    assert_eq!(scene.store.expire_claims(claims_before(claims_go)).await, Ok(0));
    let later = claims_go.checked_add(SECOND).unwrap();
    assert_eq!(scene.store.expire_claims(claims_before(later)).await, Ok(1));
}

/// A replica whose clock is far behind notes a redemption in the past.
pub async fn a_permit_stays_while_its_decision_is_young(store: Shared) {
    let scene = Scene::new(store).await;
    let at = ago(0);
    let check = scene.check().await;
    let record = recorded(commit_at(&scene, std::slice::from_ref(&check), at).await.remove(0));
    let behind = ago(1000 * 86_400);
    assert!(redeem(&scene, &check, record.id, behind).await);
    let before = Expiring::Permits.before(at);
    assert_eq!(scene.store.expire(Expiring::Permits, before).await, Ok(0));
    assert!(!redeem(&scene, &check, record.id, at).await);
    let later = at.checked_add(SECOND).unwrap();
    assert_eq!(scene.store.expire(Expiring::Permits, later).await, Ok(1), "then it goes");
}

/// Forward by twenty years, and back: what was live is as it was.
pub async fn a_clock_that_jumps_ahead_deletes_nothing_that_is_live(store: Shared) {
    let scene = Scene::new(store).await;
    let at = ago(3600);
    let check = scene.check().await.quota(1, Window::DAY);
    let record = recorded(commit_at(&scene, std::slice::from_ref(&check), at).await.remove(0));
    assert!(redeem(&scene, &check, record.id, at).await);
    let ahead = at.checked_add(SignedDuration::from_hours(20 * 365 * 24)).unwrap();
    for _ in 0..30 {
        let believed = believed(&scene, ahead, Duration::from_secs(60)).await;
        assert_eq!(keep_house(&scene, believed).await, [0, 0, 0], "believed {believed}");
    }
    assert!(!redeem(&scene, &check, record.id, at).await);
    let denied = recorded(commit_at(&scene, &[check], at).await.remove(0));
    assert_eq!((denied.allow, denied.code), (false, ReasonCode::QuotaExceeded));
    // What a jump back leaves behind is not later than the right time.
    assert_eq!(believed(&scene, at, Duration::ZERO).await, at);
}

pub async fn a_store_in_which_nothing_happened_is_kept_too(store: Shared) {
    let scene = Scene::new(store).await;
    let at = ago(0);
    let believed = believed(&scene, at, Duration::ZERO).await;
    assert!(believed <= at);
    assert_eq!(keep_house(&scene, believed).await, [0, 0, 0]);
}

/// More than one batch holds, and all of it.
pub async fn all_that_has_expired_goes_in_batches(store: Shared) {
    let scene = Scene::new(store).await;
    let at = ago(40 * 86_400);
    let check = scene.check().await.quota(u64::MAX, Window::Minutes(1));
    for part in 0..3 {
        let minutes = (0..900).map(|minute| {
            let at = at.checked_add(SignedDuration::from_mins(part * 900 + minute)).unwrap();
            check.clone().at(at).pending()
        });
        let batch = build::batch(&scene.control().await, minutes.collect());
        let done = scene.store.commit_decisions(batch, claims_expire_before(at)).await.unwrap();
        assert_eq!(done.into_committed().outcomes.len(), 900);
    }
    assert_eq!(keep_house(&scene, ago(0)).await, [0, 2700, 0]);
}
