//! Replicas on one PostgreSQL: what each says about itself and about what it shares.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sentinel_testkit::postgres;
use sentinel_testkit::redis::RedisServer;
use serde_json::json;

use crate::serve::Deployment;
use crate::support::{Folder, Server, run, sentinel};

/// Two replicas, and a key of their administrator.
struct Fleet {
    replicas: [Server; 2],
    key: String,
    _deployment: Deployment,
    database: postgres::Server,
}

impl Fleet {
    fn start(lines: &str) -> Self {
        Self::governed(lines, None)
    }

    /// One with these rules in place of the usual ones.
    fn governed(lines: &str, rules: Option<&str>) -> Self {
        let database = postgres::Server::without_fsync();
        database.create_database("fleet", "template0");
        let lines = format!("database_url: {}\n{lines}", database.url("fleet"));
        let deployment = Deployment::on(Folder::new(), &lines);
        if let Some(rules) = rules {
            deployment.folder.file("policies/p.rego", rules);
        }
        run(&["migrate", "--config", &deployment.config]).exits(0);
        let key = deployment.key("admin");
        let replicas = std::array::from_fn(|_| {
            let command = sentinel(&["serve", "--config", &deployment.config]);
            Server::start(command, deployment.folder.path().to_owned())
        });
        let fleet = Self { replicas, key, _deployment: deployment, database };
        let tool = json!({
            "tenant_slug": "lab", "name": "probe", "url": "https://a.example/", "owner": "l",
        });
        assert_eq!(fleet.post(0, "/register", &tool).0, 201);
        fleet
    }

    fn post(&self, replica: usize, path: &str, body: &serde_json::Value) -> (u16, String) {
        let answer = self.replicas[replica].http_with(&self.key, "POST", path, &body.to_string());
        (answer.0, answer.1["code"].as_str().unwrap_or_default().to_owned())
    }

    fn check(&self, replica: usize) -> String {
        let call = json!({"tenant_slug": "lab", "tool_name": "probe", "action": "read"});
        self.post(replica, "/policy/check", &call).1
    }

    fn kill(&self, replica: usize) {
        assert_eq!(self.post(replica, "/kill", &json!({"agent": "ghost", "reason": "x"})).0, 200);
    }

    /// Opens a stream of kills at a replica; what it hears is collected.
    fn listen(&self, replica: usize) -> Arc<Mutex<String>> {
        let mut stream = self.replicas[replica].connect();
        let key = &self.key;
        let request = format!(
            "GET /v1/events?types=kill_switch.* HTTP/1.1\r\nhost: {}\r\n\
             authorization: Bearer {key}\r\n\r\n",
            self.replicas[replica].url.trim_start_matches("http://"),
        );
        stream.write_all(request.as_bytes()).unwrap();
        let heard = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        });
        hears(&heard, "event: sync");
        heard
    }

    /// Waits until a replica's metrics have a line.
    #[track_caller]
    fn tells(&self, replica: usize, line: &str) {
        let started = Instant::now();
        loop {
            let metrics = self.replicas[replica].metrics(&self.key);
            if metrics.lines().any(|each| each == line) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "no `{line}` in {metrics}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn metrics_tell_of_redis_of_rate_limits_and_of_transactions() {
    let mut redis = RedisServer::start();
    let lines = format!("redis_url: {}\nrate_limits: [\"agent:2/1h\"]", redis.url());
    let fleet = Fleet::start(&lines);
    for replica in [0, 1] {
        fleet.tells(replica, "sentinel_carrier_connected{carrier=\"redis\"} 1");
        fleet.tells(replica, "sentinel_rate_limiter_connected{limiter=\"redis\"} 1");
        fleet.tells(replica, "sentinel_rate_limit_decisions_total{outcome=\"unavailable\"} 0");
    }
    let codes = [0, 1, 0].map(|replica| fleet.check(replica));
    assert_eq!(codes, ["allowed", "allowed", "rate_limited"]);
    fleet.tells(0, "sentinel_rate_limit_decisions_total{outcome=\"granted\"} 1");
    fleet.tells(0, "sentinel_rate_limit_decisions_total{outcome=\"limited\"} 1");
    fleet.tells(1, "sentinel_rate_limit_decisions_total{outcome=\"granted\"} 1");
    fleet.kill(0);
    let kill = "{name=\"kill\",outcome=\"committed\"} 1";
    fleet.tells(0, &format!("sentinel_transaction_duration_seconds_count{kill}"));
    fleet.tells(0, "sentinel_carrier_events_total{what=\"dropped_control\"} 0");
    // The decision of replica 1, and that of neither is its own: two checks and a kill of 0, with
    // the tool and its tenant.
    let received = fleet.replicas[1].metrics(&fleet.key);
    assert!(!received.contains("carrier_events_total{what=\"received\"} 0"), "{received}");
    redis.kill();
    fleet.tells(0, "sentinel_carrier_connected{carrier=\"redis\"} 0");
    assert_eq!(fleet.check(0), "rate_limiter_unavailable");
    fleet.tells(0, "sentinel_rate_limiter_connected{limiter=\"redis\"} 0");
    fleet.tells(0, "sentinel_rate_limit_decisions_total{outcome=\"unavailable\"} 1");
    fleet.tells(0, "sentinel_rate_limiter_total{what=\"answered_without_redis\"} 1");
    redis.restart();
    fleet.tells(0, "sentinel_carrier_connected{carrier=\"redis\"} 1");
    fleet.tells(0, "sentinel_rate_limiter_connected{limiter=\"redis\"} 1");
}

#[test]
fn metrics_tell_of_events_that_the_database_carries() {
    let fleet = Fleet::start("");
    fleet.tells(0, "sentinel_carrier_connected{carrier=\"notify\"} 1");
    fleet.tells(1, "sentinel_carrier_connected{carrier=\"notify\"} 1");
    let received = || -> u64 {
        let name = "sentinel_carrier_events_total{what=\"received\"} ";
        let metrics = fleet.replicas[1].metrics(&fleet.key);
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.expect("it is always there").parse().unwrap()
    };
    // The events of the set-up may still be on their way.
    let mut before = received();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        match received() {
            same if same == before => break,
            more => before = more,
        }
    }
    fleet.kill(0);
    let line = format!("sentinel_carrier_events_total{{what=\"received\"}} {}", before + 1);
    fleet.tells(1, &line);
    let metrics = fleet.replicas[0].metrics(&fleet.key);
    assert!(metrics.contains("sentinel_database_pool_connections{state=\"idle\"} "), "{metrics}");
    assert!(!metrics.contains("redis") && !metrics.contains("ghost"), "{metrics}");
}

#[track_caller]
fn hears(heard: &Mutex<String>, what: &str) {
    let started = Instant::now();
    while !heard.lock().unwrap().contains(what) {
        assert!(started.elapsed() < Duration::from_secs(10), "no `{what}` in {heard:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The listeners of every replica are cut off at the moment of the kill, so that no listener hears
/// what is sent: the open stream of the other replica reports the kill all the same.
#[test]
fn a_stream_hears_of_a_kill_that_no_listener_was_told_of() {
    let fleet = Fleet::start("");
    for replica in [0, 1] {
        fleet.tells(replica, "sentinel_carrier_connected{carrier=\"notify\"} 1");
    }
    let heard = fleet.listen(1);
    for round in 0..3 {
        let agent = format!("ghost-{round}");
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN%'
                OR query LIKE '%pg_advisory_lock_shared(1936618608)%'
                OR query IN ('SELECT epoch FROM meta', 'SELECT 1'))";
        fleet.database.sql("fleet", cut);
        let body = json!({"agent": agent, "reason": format!("round {round}")});
        assert_eq!(fleet.post(0, "/kill", &body).0, 200);
        hears(&heard, &format!("round {round}"));
        // Once, however many messages there were.
        let times = heard.lock().unwrap().matches(&format!("round {round}")).count();
        assert_eq!(times, 1, "{heard:?}");
        fleet.tells(1, "sentinel_carrier_connected{carrier=\"notify\"} 1");
    }
}

/// Redis is away at the moment of the kill, the replica that killed dies before it could send, and
/// Redis comes back empty.
#[test]
fn a_stream_hears_of_a_kill_whose_sender_died_before_it_could_send() {
    let mut redis = RedisServer::start();
    let fleet = Fleet::start(&format!("redis_url: {}", redis.url()));
    for replica in [0, 1] {
        fleet.tells(replica, "sentinel_carrier_connected{carrier=\"redis\"} 1");
    }
    let heard = fleet.listen(1);
    redis.kill();
    assert_eq!(fleet.post(0, "/kill", &json!({"agent": "ghost", "reason": "last words"})).0, 200);
    fleet.replicas[0].signal("KILL");
    redis.restart();
    hears(&heard, "last words");
}

const RULES: &str = "package sentinel.policy\n\ndefault allow := false\n\n\
    allow if {\n\tinput.tool != \"\"\n\tnot data.blocked[input.tool]\n}\n";

/// No message is waited for between a change at one replica and a check at the other.
#[test]
fn a_change_of_policy_at_one_replica_holds_for_the_next_check_at_another() {
    let fleet = Fleet::governed("", Some(RULES));
    let send = |replica: usize, method: &str, path: &str, body: &str| -> serde_json::Value {
        let path = format!("/v1/policy/{path}");
        let (status, answer) = fleet.replicas[replica].http_with(&fleet.key, method, &path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    };
    for round in 0..25 {
        let (here, there) = (round % 2, 1 - round % 2);
        send(here, "PUT", "data/blocked/probe", "true");
        assert_eq!(fleet.check(there), "policy_denied", "round {round}");
        send(there, "DELETE", "data/blocked/probe", "");
        assert_eq!(fleet.check(here), "allowed", "round {round}");
    }
    let closed = json!({"files": {"p.rego": "package sentinel.policy\ndefault allow := false\n"}});
    for (here, there) in [(0, 1), (1, 0), (0, 1)] {
        send(here, "POST", "rollout", &closed.to_string());
        assert_eq!(fleet.check(there), "allowed");
        let began = Instant::now();
        while send(there, "GET", "rollout", "")["monitored"]["loaded"] != true {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(20));
        }
        send(here, "POST", "rollout/promote", "{}");
        assert_eq!(fleet.check(there), "policy_denied");
        assert_eq!(fleet.check(here), "policy_denied");
        send(there, "POST", "rollout/drop", "{}");
        assert_eq!(fleet.check(here), "allowed");
        assert_eq!(fleet.check(there), "allowed");
    }
    let changes = send(0, "GET", "changes?limit=1000", "");
    let activated =
        changes["items"].as_array().unwrap().iter().filter(|change| change["kind"] == "activated");
    assert_eq!(activated.count(), 1, "both replicas loaded the same");
}

/// Without Redis each replica counts for itself: together they grant the limit, and not twice of
/// it.
#[test]
fn replicas_without_redis_grant_a_rate_limit_together() {
    let fleet = Fleet::start("rate_limits: [\"agent:6/1h\"]\nreplicas: 2");
    let codes: Vec<_> = (0..12).map(|index| fleet.check(index % 2)).collect();
    let granted = codes.iter().filter(|code| *code == "allowed").count();
    assert_eq!(granted, 6, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "rate_limited").count(), 6, "{codes:?}");
}

/// What policy states is not known at the start, so it is denied until somebody says how many there
/// are to share it.
#[test]
fn a_rate_limit_of_policy_is_not_granted_by_replicas_of_unknown_number() {
    let rules = r#"package sentinel.policy
decision := {"allow": true, "obligations": [
    {"type": "rate_limit", "scope": "agent", "limit": 6, "period": "1h"},
]}
"#;
    let fleet = Fleet::governed("", Some(rules));
    assert_eq!([0, 1].map(|replica| fleet.check(replica)), ["rate_limiter_unavailable"; 2]);
    fleet.replicas[0].wait_for("`replicas` does not say how many");
}
