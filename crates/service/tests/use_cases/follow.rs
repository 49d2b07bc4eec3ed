//! A replica that follows the others.

use std::time::{Duration, Instant};

use sentinel_core::epoch::Epoch;
use sentinel_service::kill::Target;
use sentinel_service::{Services, Settings, Shared};
use sentinel_testkit::build::name;
use tokio::sync::watch;

use crate::support::{ADMIN, App};

async fn kill(app: &App) -> Epoch {
    app.services.kills.kill(&ADMIN, &Target::Global, name("stop")).await.unwrap().epoch
}

async fn knows(services: &Services, epoch: Epoch) -> Duration {
    let start = Instant::now();
    while services.control.current().epoch() < epoch {
        assert!(start.elapsed() < Duration::from_secs(20), "never learnt of epoch {epoch}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}

#[tokio::test]
async fn an_idle_replica_learns_of_a_kill_at_once_when_told() {
    let app = App::start().await;
    let replica = app.replica(Settings::default(), Shared::default()).await;
    let (tell, told) = watch::channel(Epoch::default());
    let _following = replica.follow(told);
    let epoch = kill(&app).await;
    // Right after the first poll, so that the next one is most of a second away.
    knows(&replica, epoch).await;
    let epoch = kill(&app).await;
    tell.send(epoch).unwrap();
    let took = knows(&replica, epoch).await;
    assert!(took < Duration::from_millis(600), "it took {took:?}");
}

#[tokio::test]
async fn an_idle_replica_learns_of_a_kill_without_any_message() {
    let app = App::start().await;
    let replica = app.replica(Settings::default(), Shared::default()).await;
    let (tell, told) = watch::channel(Epoch::default());
    let _following = replica.follow(told);
    knows(&replica, kill(&app).await).await;
    // A message of something old changes nothing, and neither does a messenger that is gone.
    tell.send(Epoch(1)).unwrap();
    drop(tell);
    knows(&replica, kill(&app).await).await;
}

/// After a failover to a standby that had not received everything, epochs are given out twice.
#[tokio::test]
async fn a_replica_that_knows_lost_epochs_takes_up_those_that_are_given_out_instead() {
    let app = App::start().await;
    let replica = app.replica(Settings::default(), Shared::default()).await;
    let (_tell, told) = watch::channel(Epoch::default());
    let _following = replica.follow(told);
    let before = app.services.control.current().epoch();
    let agent = Target::Agent(name("other"));
    for _ in 0..2 {
        app.services.kills.kill(&ADMIN, &agent, name("lost")).await.unwrap();
    }
    knows(&replica, Epoch(before.0 + 2)).await;
    app.forget_kills(2);
    let start = Instant::now();
    while replica.control.current().epoch() > before {
        assert!(start.elapsed() < Duration::from_secs(20), "the lost epochs are still believed in");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    kill(&app).await;
    app.services.kills.kill(&ADMIN, &agent, name("another")).await.unwrap();
    // As many epochs as are lost, and the first of them was a kill of everything.
    let answer = replica.checker.check(app.request()).await.unwrap();
    assert!(!answer.decision.allow, "{:?}", answer.decision);
}

#[tokio::test]
async fn following_ends_with_the_services() {
    let app = App::start().await;
    let replica = app.replica(Settings::default(), Shared::default()).await;
    let (_tell, told) = watch::channel(Epoch::default());
    let following = replica.follow(told);
    drop(replica);
    tokio::time::timeout(Duration::from_secs(10), following).await.unwrap().unwrap();
}
