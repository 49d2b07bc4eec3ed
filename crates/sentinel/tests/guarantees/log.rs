//! G4 and G5: whenever a process is killed or stopped, the log has one history, which lacks
//! nothing that was acknowledged.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::history::History;
use crate::replicas::Replicas;
use crate::server::Server;

const POLICY: &str = "package sentinel.policy\ndefault allow := true\n";
const THREADS: usize = 8;

#[test]
fn kills_of_the_process_leave_one_history() {
    let history = History::default();
    let mut server = Server::with_policy(POLICY);
    for round in 0..10 {
        let (agent, auditor) = (server.key("agent"), server.key("auditor"));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let tool = ("secops", "incident-response-runbook");
                scope.spawn(|| history.sign(&server.url, &agent, tool.0, tool.1));
            }
            scope.spawn(|| {
                let mut client = Client::new(&server.url, &auditor);
                while client.try_send("GET", "/healthz", &serde_json::Value::Null).is_some() {
                    history.look(&mut client);
                }
            });
            // Another moment of a step each round.
            thread::sleep(Duration::from_millis(230 + 37 * round));
            server.kill_9();
        });
        server.restart();
    }
    history.assert_one(&server.url, &server.key("auditor"));
    let count = history.count();
    assert!(count > 1000, "{count} manifests: no real test");
}

#[test]
fn kills_and_pauses_of_replicas_leave_one_history() {
    let history = History::default();
    let fleet = Replicas::start();
    thread::scope(|scope| {
        let end = history.end();
        for thread in 0..THREADS {
            let (fleet, history) = (&fleet, &history);
            scope.spawn(move || {
                while !history.is_over() {
                    history.sign(&fleet.url(thread % 2), &fleet.key, "lab", "probe");
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let looking = scope.spawn(|| {
            // One after the other, so that the order is known. A replica that is stopped would
            // hold this up, so each gets a moment only.
            while !history.is_over() {
                for replica in [0, 1] {
                    history.look(&mut fleet.client(replica).with_patience(Duration::from_secs(1)));
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        for round in 0..6 {
            thread::sleep(Duration::from_millis(300 + 61 * round));
            fleet.replace(usize::try_from(round % 2).unwrap());
        }
        for replica in [0, 1] {
            let before = history.size();
            fleet.signal(replica, "-STOP");
            // Longer than a lease. The other one leads, or takes the lead over.
            thread::sleep(Duration::from_millis(4000));
            let deadline = Instant::now() + Duration::from_secs(20);
            while history.size() <= before {
                assert!(Instant::now() < deadline, "the log stopped at {before} with {replica}");
                thread::sleep(Duration::from_millis(50));
            }
            fleet.signal(replica, "-CONT");
            thread::sleep(Duration::from_millis(300));
        }
        drop(end);
        looking.join().unwrap();
    });
    for replica in [0, 1] {
        history.assert_one(&fleet.url(replica), &fleet.key);
    }
    let count = history.count();
    assert!(count > 1000, "{count} manifests: no real test");
}
