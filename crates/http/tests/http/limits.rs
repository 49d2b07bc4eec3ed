//! What one key may take, so that it leaves the others theirs.

use std::time::Duration;

use sentinel_core::principal::Role;
use sentinel_ingress::{Limits, Options};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{App, Key, Wanted};

const KILLS: &str = "/v1/events?types=kill_switch.*";
const BODY: usize = 256 * 1024;

#[tokio::test]
async fn one_key_leaves_event_streams_for_the_others() {
    let limits = Limits { streams_of_key: 2, ..Limits::default() };
    let app = App::with(Options { max_subscribers: 64, limits, ..Options::default() }).await;
    let (one, other) = (agent(&app).await, agent(&app).await);
    let first = app.listen(&one, KILLS, None).await;
    let _second = app.listen(&one, KILLS, None).await;
    let refused = app.get(&one, KILLS).await;
    refused.problem(429, "too_many_subscribers");
    assert_eq!(refused.header("retry-after"), "1");
    let mut listener = app.listen(&other, KILLS, None).await;
    listener.named("sync").await;
    drop(first);
    for _ in 0..100 {
        let request = app.request(reqwest::Method::GET, KILLS).bearer_auth(&one.secret);
        if request.send().await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a stream that ended is not given back");
}

/// Bodies that are all but whole stay in memory until they are, or their time is over.
#[tokio::test]
async fn bodies_of_one_key_that_do_not_end_hold_no_more_than_its_share() {
    let app = App::seeded().await;
    let (one, other) = (agent(&app).await, agent(&app).await);
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(unfinished(&app, &one).await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut refused = 0;
    for stream in &mut held {
        let mut head = [0; 12];
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut head));
        if matches!(read.await, Ok(Ok(_))) {
            assert_eq!(&head, b"HTTP/1.1 503");
            refused += 1;
        }
    }
    assert!((8..20).contains(&refused), "{refused} of 40 bodies are refused");
    app.check_as(&other, json!({})).await.ok();
    app.kill(json!({"agent": "ghost", "reason": "drill"})).await.ok();
    drop(held);
    for _ in 0..100 {
        if app.check_as(&one, json!({})).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what was held is not given back");
}

#[tokio::test]
async fn a_key_has_no_more_requests_under_way_than_its_share() {
    let limits = Limits { requests_of_key: 2, ..Limits::default() };
    let app = App::with(Options { limits, ..Options::default() }).await;
    app.seed().await;
    let (one, other) = (agent(&app).await, agent(&app).await);
    let held = [unfinished(&app, &one).await, unfinished(&app, &one).await];
    tokio::time::sleep(Duration::from_millis(200)).await;
    app.check_as(&one, json!({})).await.problem(503, "overloaded");
    app.check_as(&other, json!({})).await.ok();
    drop(held);
}

async fn agent(app: &App) -> Key {
    app.key(Wanted::role(Role::Agent)).await
}

/// A check whose body lacks its last byte.
async fn unfinished(app: &App, key: &Key) -> TcpStream {
    let address = app.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /policy/check HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {BODY}\r\n\r\n",
        key.secret
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A refusal may come before all of it is sent.
    drop(stream.write_all(&vec![b' '; BODY - 1]).await);
    stream
}
