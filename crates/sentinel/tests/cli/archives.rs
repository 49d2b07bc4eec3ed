//! Past months leave a running server for a real S3, and are found there again: every decision is
//! in the database or in the archive at any time, whatever happens, and in the end in one of them.

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::process::Command;
use std::time::{Duration, Instant};

use sentinel_client::api::CheckAnswer;
use sentinel_testkit::{postgres, s3};
use serde_json::{Value, json};

use crate::serve::Deployment;
use crate::support::{Folder, Ran, Server, run, sentinel};

const DATABASE: &str = "fleet";
/// Time that something gets to happen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const ARCHIVED: &str = "a month of decisions was archived";

/// A deployment whose server has made decisions in January 2020 by its clock, and an S3 for them.
struct Scene {
    s3: s3::Server,
    key: String,
    /// The identifiers of the decisions.
    made: BTreeSet<String>,
    deployment: Deployment,
    database: postgres::Server,
}

impl Scene {
    fn new() -> Self {
        let s3 = s3::Server::start();
        let database = postgres::Server::without_fsync();
        database.create_database(DATABASE, "template0");
        let lines = format!(
            "database_url: {}\naudit_archive_url: {}\naudit_keep_months: 1",
            database.url(DATABASE),
            s3.url("sentinel")
        );
        let deployment = Deployment::on(Folder::new(), &lines);
        run(&["migrate", "--config", &deployment.config]).exits(0);
        let key = deployment.key("admin");
        let mut scene = Self { s3, key, made: BTreeSet::new(), deployment, database };
        scene.decide();
        scene
    }

    /// Runs a server in January 2020, for 30 allows and 10 denies.
    fn decide(&mut self) {
        let mut command = self.command(&["serve", "--config", &self.deployment.config]);
        let library = format!("/usr/lib/{ARCH}-linux-gnu/faketime/libfaketimeMT.so.1");
        let there = std::path::Path::new(&library).exists();
        assert!(there, "`{library}` is needed; `scripts/install.sh test` installs it");
        command.env("LD_PRELOAD", library).env("FAKETIME", "@2020-01-20 12:00:00").env("TZ", "UTC");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        let server = self.start(command);
        let tool = json!({
            "tenant_slug": "lab", "name": "probe", "url": "https://a.example/", "owner": "l",
        });
        assert_eq!(self.post(&server, "/register", &tool).0, 201);
        for index in 0..40 {
            if index == 30 {
                let kill = json!({"tenant_slug": "lab", "tool_name": "probe", "reason": "x"});
                assert_eq!(self.post(&server, "/kill", &kill).0, 200);
            }
            let answer = self.check(&server);
            assert_eq!(answer.allow, index < 30, "{answer:?}");
            self.made.insert(answer.decision_id.to_string());
        }
        // Its partition is made in the background.
        until("a partition for January", || self.tables() == "policy_logs_2020_01");
        server.stop();
        assert_eq!((self.in_database(), self.made.len()), (self.made.clone(), 40));
    }

    /// The binary, with the way to the archive.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = sentinel(args);
        command.envs(self.s3.environment());
        command
    }

    fn start(&self, command: Command) -> Server {
        Server::start(command, self.deployment.folder.path().to_owned())
    }

    /// A server of today.
    fn serve(&self) -> Server {
        self.start(self.command(&["serve", "--config", &self.deployment.config]))
    }

    fn audit(&self, args: &[&str]) -> Ran {
        let url = self.s3.url("sentinel");
        let mut command = self.command(&["audit"]);
        command.args(args).args(["--archive", &url]).output().unwrap().into()
    }

    fn post(&self, server: &Server, path: &str, body: &Value) -> (u16, Value) {
        server.http_with(&self.key, "POST", path, &body.to_string())
    }

    fn check(&self, server: &Server) -> CheckAnswer<'static> {
        let call = json!({"tenant_slug": "lab", "tool_name": "probe", "action": "read"});
        let (status, answer) = self.post(server, "/policy/check", &call);
        assert_eq!(status, 200, "{answer}");
        serde_json::from_value(answer).unwrap()
    }

    /// The tables of January.
    fn tables(&self) -> String {
        self.database.query(
            DATABASE,
            "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class
            WHERE relkind = 'r' AND relname LIKE 'policy_logs_2020_01%'",
        )
    }

    /// The decisions of January in the database, whether they are part of the log or not.
    fn in_database(&self) -> BTreeSet<String> {
        let mut sql = "SELECT id FROM policy_logs WHERE created_at < '2021-01-01'".to_owned();
        if self.tables().contains("_detached") {
            sql.push_str(" UNION ALL SELECT id FROM policy_logs_2020_01_detached");
        }
        set(self.database.query(DATABASE, &sql).lines())
    }

    /// The decisions of January in the archive, which is what its manifest says.
    fn in_archive(&self) -> BTreeSet<String> {
        let months = self.audit(&["list", "--json"]).exits(0).json();
        if months.as_array().unwrap().iter().all(|manifest| manifest["month"] != "2020-01") {
            return BTreeSet::new();
        }
        self.audit(&["verify", "--month=2020-01"]).exits(0);
        let read = self.audit(&["read", "--month=2020-01", "--json"]).exits(0);
        ids(&read)
    }

    /// Every decision is in one place at least, whole.
    #[track_caller]
    fn nothing_is_lost(&self) {
        let (database, archive) = (self.in_database(), self.in_archive());
        for place in [&database, &archive] {
            assert!(place.is_empty() || *place == self.made, "{database:?} {archive:?}");
        }
        assert!(!database.is_empty() || !archive.is_empty(), "none is left");
    }

    /// Every decision is in the archive, and nowhere else.
    #[track_caller]
    fn all_is_archived(&self) {
        until("January to leave", || self.tables().is_empty());
        assert_eq!((self.in_database(), self.in_archive()), (BTreeSet::new(), self.made.clone()));
        // A manifest and a part: nothing was written twice.
        let folder = self.s3.file("sentinel/decisions/2020-01");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2);
    }
}

/// The identifiers that a command printed.
fn ids(read: &Ran) -> BTreeSet<String> {
    let lines = read.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: Vec<String> = lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    set(ids.iter().map(String::as_str))
}

/// Fails when one is there twice.
fn set<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for id in ids {
        assert!(found.insert(id.to_owned()), "`{id}` is there twice");
    }
    found
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How often a server said that it archived a month.
fn archived(server: &Server, month: &str) -> usize {
    let month = format!("\"{month}\"");
    let output = server.output();
    output.lines().filter(|line| line.contains(ARCHIVED) && line.contains(&month)).count()
}

#[test]
fn a_month_that_is_due_moves_to_s3_and_every_decision_is_found_there() {
    let scene = Scene::new();
    // The first run comes soon after the start, not ten minutes later.
    let server = scene.serve();
    server.wait_for(ARCHIVED);
    scene.all_is_archived();
    // It goes on deciding, and what is decided today stays.
    let today = scene.check(&server).decision_id.to_string();
    let sql = "SELECT id FROM policy_logs WHERE created_at > '2021-01-01'";
    assert_eq!(scene.database.query(DATABASE, sql), today);
    let output = server.stop();
    assert!(!output.contains(&scene.s3.secret()), "{output}");

    let list = scene.audit(&["list", "--json"]).exits(0).json();
    let content = &list[0]["content"];
    assert_eq!((&list[0]["month"], &content["count"]), (&json!("2020-01"), &json!(40)));
    assert_eq!((&content["allowed"], &content["denied"]), (&json!(30), &json!(10)));
    let denied = scene.audit(&["read", "--month=2020-01", "--decision=deny", "--json"]).exits(0);
    assert_eq!(ids(&denied).len(), 10);
    let read = scene.audit(&["read", "--month=2020-01"]).exits(0);
    assert!(read.stdout.contains("probe") && read.stdout.lines().count() == 41, "{read:?}");

    let part = list[0]["parts"][0]["name"].as_str().unwrap();
    let file = scene.s3.file(&format!("sentinel/decisions/2020-01/{part}"));
    let genuine = std::fs::read(&file).unwrap();
    let mut changed = genuine.clone();
    changed[genuine.len() / 2] ^= 1;
    let cut = genuine[..genuine.len() / 2].to_vec();
    for (bytes, message) in [(changed, "was changed"), (cut, "bytes instead of")] {
        std::fs::write(&file, bytes).unwrap();
        let refused = scene.audit(&["verify"]).exits(1);
        assert!(refused.stdout.contains("refused  2020-01"), "{refused:?}");
        assert!(refused.stdout.contains(message), "{refused:?}");
        assert!(refused.stdout.contains("intact   2020-02"), "{refused:?}");
        let refused = scene.audit(&["read", "--month=2020-01", "--json"]).exits(1);
        assert!(refused.stdout.is_empty() && refused.stderr.contains(message), "{refused:?}");
    }
    std::fs::write(&file, genuine).unwrap();
    scene.audit(&["verify"]).exits(0);
}

#[test]
fn two_replicas_archive_a_month_once() {
    let scene = Scene::new();
    let replicas = std::thread::scope(|scope| {
        let starting = [(); 2].map(|()| scope.spawn(|| scene.serve()));
        starting.map(|replica| replica.join().unwrap())
    });
    let due = "SELECT count(*) FROM pg_class
        WHERE relkind = 'r' AND relname LIKE 'policy_logs_2020%'";
    until("all months to leave", || scene.database.query(DATABASE, due) == "0");
    scene.all_is_archived();
    let months = scene.audit(&["list", "--json"]).exits(0).json();
    assert!(months.as_array().unwrap().len() > 1, "{months}");
    for manifest in months.as_array().unwrap() {
        let month = manifest["month"].as_str().unwrap();
        let count = || replicas.iter().map(|replica| archived(replica, month)).sum::<usize>();
        // It is told after the table is gone.
        until("the log", || count() >= 1);
        assert_eq!(count(), 1, "{month}");
    }
    for replica in replicas {
        scene.check(&replica);
        let output = replica.stop();
        assert!(!output.contains("ERROR"), "{output}");
    }
}

#[test]
fn a_storage_that_refuses_or_is_away_loses_nothing() {
    let mut scene = Scene::new();
    let mut command = scene.command(&["serve", "--config", &scene.deployment.config]);
    command.env("AWS_SECRET_ACCESS_KEY", "wrong-credential");
    let server = scene.start(command);
    server.wait_for("was not archived and stays in the database");
    server.wait_for("`SignatureDoesNotMatch`");
    let output = server.stop();
    assert!(!output.contains("wrong-credential") && !output.contains(ARCHIVED), "{output}");
    assert_eq!((scene.in_database(), scene.in_archive()), (scene.made.clone(), BTreeSet::new()));

    let mut audit = scene.command(&[
        "audit",
        "verify",
        "--month=2020-01",
        "--archive",
        "s3://archive/sentinel",
    ]);
    audit.env("AWS_SECRET_ACCESS_KEY", "wrong-credential");
    let refused = Ran::from(audit.output().unwrap()).exits(1);
    assert!(refused.stdout.starts_with("unread   2020-01"), "{refused:?}");
    assert!(refused.stdout.contains("`SignatureDoesNotMatch`"), "{refused:?}");
    assert!(refused.stderr.contains("1 month could not be read"), "{refused:?}");

    scene.s3.stop();
    let refused = scene.audit(&["list"]).exits(1);
    assert!(refused.stderr.contains("cannot read the archive"), "{refused:?}");
    assert!(refused.stderr.contains("Connection refused"), "{refused:?}");
    let server = scene.serve();
    server.wait_for("was not archived and stays in the database");
    // Who asks for decisions is not held up by it.
    scene.check(&server);
    assert_eq!(scene.in_database(), scene.made);
    drop(server);

    scene.s3.start_again();
    let server = scene.serve();
    server.wait_for(ARCHIVED);
    scene.all_is_archived();
}

#[test]
fn a_storage_that_hangs_holds_up_neither_checks_nor_the_end() {
    let scene = Scene::new();
    scene.s3.pause();
    let server = scene.serve();
    server.wait_for("archiving a month of decisions");
    for _ in 0..5 {
        scene.check(&server);
    }
    assert_eq!(scene.in_database(), scene.made);
    let started = Instant::now();
    let output = server.stop();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(!output.contains("ERROR"), "{output}");
    scene.s3.resume();
    let server = scene.serve();
    server.wait_for(ARCHIVED);
    scene.all_is_archived();
}

/// Where a server is when it ends.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// A part is there; the manifest probably is not yet.
    PartWritten,
    /// The month is archived and about to be taken out of the log.
    TakingOut,
    /// It was taken out, and is about to be dropped.
    Dropping,
}

#[test]
fn kill_9_at_any_moment_leaves_every_decision_somewhere() {
    let scene = Scene::new();
    for moment in [Moment::PartWritten, Moment::TakingOut, Moment::Dropping] {
        kill_9_at(&scene, moment);
        scene.nothing_is_lost();
    }
    // Both places, until the next server has looked.
    assert_eq!((scene.in_database(), scene.in_archive()), (scene.made.clone(), scene.made.clone()));
    assert_eq!(scene.tables(), "policy_logs_2020_01_detached");
    let server = scene.serve();
    server.wait_for(ARCHIVED);
    scene.all_is_archived();
    assert_eq!(archived(&server, "2020-01"), 1);
}

/// Starts a server and ends it there, as a power failure does.
fn kill_9_at(scene: &Scene, moment: Moment) {
    let hold = |statement: &str| {
        scene.database.sql(
            DATABASE,
            &format!(
                "CREATE FUNCTION hold() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF current_query() LIKE '%{statement}%' THEN PERFORM pg_sleep(60); END IF;
                END $$;
                CREATE EVENT TRIGGER hold ON ddl_command_start EXECUTE FUNCTION hold()"
            ),
        );
    };
    match moment {
        Moment::PartWritten => {}
        Moment::TakingOut => hold("DETACH PARTITION policy_logs_2020_01"),
        Moment::Dropping => hold("DROP TABLE policy_logs_2020_01"),
    }
    let mut server = scene.serve();
    let folder = scene.s3.file("sentinel/decisions/2020-01");
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    match moment {
        Moment::PartWritten => {
            let started = Instant::now();
            while std::fs::read_dir(&folder).map_or(0, Iterator::count) == 0 {
                assert!(started.elapsed() < PATIENCE, "no part is written");
            }
        }
        Moment::TakingOut | Moment::Dropping => {
            until("the database to be held", || scene.database.query(DATABASE, sleeping) == "1");
        }
    }
    server.signal("KILL");
    assert!(!server.wait().success());
    scene.database.sql(
        DATABASE,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep';
        DROP EVENT TRIGGER IF EXISTS hold; DROP FUNCTION IF EXISTS hold",
    );
    let connected = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    until("its sessions to end", || scene.database.query(DATABASE, connected) == "0");
}
