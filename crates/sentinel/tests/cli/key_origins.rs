//! API keys go to the origin that they were given for, whatever is asked, and whatever an answer
//! leads to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::planted::PlantedLog;
use crate::support::{Folder, Ran, sentinel};

const SECRET: &str = "snt_auditor_of-this-test";

/// What a server here does with every request.
#[derive(Clone)]
enum Does {
    /// 401, as a server does that wants a key.
    Refuses,
    /// Sends the client to the same path at another address.
    LeadsTo(String),
    /// The files of a log, below `/log/`.
    Serves(PathBuf),
}

/// A server of loopback that keeps the heads of the requests.
struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                if head.is_empty() {
                    continue;
                }
                let path = head.split(' ').nth(1).unwrap().to_owned();
                kept.lock().unwrap().push(head.to_ascii_lowercase());
                let (status, more, body) = match &does {
                    Does::Refuses => ("401 Unauthorized", String::new(), b"{}".to_vec()),
                    Does::LeadsTo(to) => {
                        ("302 Found", format!("location: {to}{path}\r\n"), Vec::new())
                    }
                    Does::Serves(dir) => {
                        match std::fs::read(dir.join(path.trim_start_matches("/log/"))) {
                            Ok(body) => ("200 OK", String::new(), body),
                            Err(_) => ("404 Not Found", String::new(), Vec::new()),
                        }
                    }
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            }
        });
        Self { url, heads }
    }

    /// Whether it was asked, and had the key each time, or never.
    #[track_caller]
    fn was_asked(&self, with_key: bool) {
        let heads = std::mem::take(&mut *self.heads.lock().unwrap());
        assert!(!heads.is_empty(), "it was not asked");
        for head in heads {
            let has_it = head.contains(&format!("authorization: bearer {SECRET}"));
            assert_eq!(has_it, with_key, "{head}");
            assert_eq!(head.contains("authorization"), with_key, "{head}");
            assert_eq!(head.contains(SECRET), with_key, "{head}");
        }
    }

    fn was_not_asked(&self) {
        assert!(self.heads.lock().unwrap().is_empty(), "{:?}", self.heads);
    }
}

/// Runs a command with the key in the environment, for the server at `home`.
fn with_key_of(home: Option<&str>, args: &[&str]) -> Ran {
    // In a folder without a data directory, whose keys would be sent instead.
    let empty = Folder::new();
    let mut command = sentinel(args);
    command.env("SENTINEL_API_KEY", SECRET).current_dir(empty.path());
    if let Some(home) = home {
        command.env("SENTINEL_URL", home);
    }
    command.output().unwrap().into()
}

/// Every command that asks a server, as short as it may be.
fn commands(folder: &Folder) -> Vec<Vec<String>> {
    folder.file("policies/p.rego", "package sentinel.policy\n\ndefault allow := false\n");
    let policies = folder.path().join("policies").display().to_string();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let id = "00000000-0000-0000-0000-000000000001";
    let lines = [
        "check --tenant a --tool b".to_owned(),
        "tools list".to_owned(),
        "tools show --tenant a --tool b".to_owned(),
        "tools retire --tenant a --tool b".to_owned(),
        "tools register --tenant a --tool b --tool-url https://a.example/ --owner o".to_owned(),
        "kill --global --reason r".to_owned(),
        "restore --global".to_owned(),
        "key list".to_owned(),
        "key create --role agent --name n".to_owned(),
        format!("key revoke {id}"),
        "decisions".to_owned(),
        "decisions --follow".to_owned(),
        format!("decisions --export {}", file("decisions")),
        "quotas".to_owned(),
        format!("policy replay {policies}"),
        "policy log".to_owned(),
        "policy data get /a".to_owned(),
        "policy data put /a 1 --reason r".to_owned(),
        "policy data delete /a --reason r".to_owned(),
        "policy data history".to_owned(),
        "policy rollout status".to_owned(),
        format!("policy rollout start {policies} --reason r"),
        format!("provenance show {id}"),
        format!("provenance fetch {id}"),
        "provenance trusted-root".to_owned(),
        "provenance keys list".to_owned(),
        format!("payload get {id}"),
        "payload destroy --tenant a --reason r --yes".to_owned(),
        "payload tombstones".to_owned(),
        format!(
            "evidence export --tenant a --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z -o {}",
            file("evidence.tar.gz")
        ),
        "doctor".to_owned(),
    ];
    lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn with<'a>(command: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    command.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

#[test]
fn no_command_sends_the_key_of_the_environment_to_another_server() {
    let folder = Folder::new();
    let (home, other) = (Server::start(Does::Refuses), Server::start(Does::Refuses));
    for command in commands(&folder) {
        let ran = with_key_of(Some(&home.url), &with(&command, &["--url", &other.url]));
        assert_ne!(ran.code, Some(2), "{command:?}: {ran:?}");
        other.was_asked(false);
        home.was_not_asked();
        if command[0] != "doctor" {
            let told = format!("SENTINEL_API_KEY was not sent: it is for {}", home.url);
            assert!(ran.stderr.contains(&told) && ran.stderr.contains("--key"), "{ran:?}");
        }
        // The server that the key is for gets it, and so does the one it is given for.
        with_key_of(Some(&home.url), &with(&command, &[]));
        home.was_asked(true);
        let more = ["--url", &other.url, "--key", SECRET];
        with_key_of(Some(&home.url), &with(&command, &more));
        other.was_asked(true);
    }
    // Where nothing says what it is for, it is for the server on this machine.
    let ran = with_key_of(None, &["quotas", "--url", &other.url]);
    other.was_asked(false);
    assert!(ran.stderr.contains("it is for http://127.0.0.1:8000"), "{ran:?}");
}

#[test]
fn no_command_follows_a_redirect_with_the_key() {
    let folder = Folder::new();
    let other = Server::start(Does::Refuses);
    let home = Server::start(Does::LeadsTo(other.url.clone()));
    for command in commands(&folder) {
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let ran = with_key_of(Some(&home.url), &command);
        assert_eq!(ran.code, Some(1), "{command:?}: {ran:?}");
        home.was_asked(true);
        other.was_not_asked();
    }
}

#[test]
fn an_audit_sends_the_key_to_the_server_it_is_for_only() {
    let folder = Folder::new();
    let log = PlantedLog::new(&folder.path().join("log"), 300);
    let (key, served) = (log.key(), Does::Serves(log.directory));
    let (home, other) = (Server::start(served.clone()), Server::start(served));
    let refuses = Server::start(Does::Refuses);
    let audit = |url: &str, more: &[&str]| {
        let place = format!("{url}/log/");
        with_key_of(Some(&home.url), &[&["log", "audit", &place, "--key", &key], more].concat())
    };
    audit(&home.url, &[]).exits(0);
    home.was_asked(true);
    audit(&other.url, &[]).exits(0);
    other.was_asked(false);
    let ran = audit(&refuses.url, &[]).exits(1);
    refuses.was_asked(false);
    let told = format!("SENTINEL_API_KEY was not sent: it is for {}", home.url);
    assert!(ran.stderr.contains(&told) && ran.stderr.contains("--api-key"), "{ran:?}");
    audit(&other.url, &["--api-key", SECRET]).exits(0);
    other.was_asked(true);

    // Of logs at several servers one is named, and the others are asked without.
    let [first, second] = [&home.url, &other.url].map(|url| format!("{url}/log/"));
    let both = ["log", "audit", &first, &second, "--key", &key, "--api-key", SECRET];
    let ran = with_key_of(None, &both).exits(2);
    assert!(ran.stderr.contains("--api-key-for"), "{ran:?}");
    home.was_not_asked();
    with_key_of(None, &[&both[..], &["--api-key-for", &other.url]].concat()).exits(0);
    home.was_asked(false);
    other.was_asked(true);
}

#[test]
fn an_audit_follows_redirects_and_leaves_the_key_behind() {
    let folder = Folder::new();
    let log = PlantedLog::new(&folder.path().join("log"), 300);
    let key = log.key();
    let other = Server::start(Does::Serves(log.directory));
    let home = Server::start(Does::LeadsTo(other.url.clone()));
    let place = format!("{}/log/", home.url);
    let audit = ["log", "audit", &place, "--key", &key];
    with_key_of(Some(&home.url), &audit).exits(0);
    home.was_asked(true);
    other.was_asked(false);
    with_key_of(None, &[&audit[..], &["--api-key", SECRET]].concat()).exits(0);
    home.was_asked(true);
    other.was_asked(false);
    // From where it is not for, to where it is.
    let back = Server::start(Does::LeadsTo(other.url.clone()));
    let place = format!("{}/log/", back.url);
    with_key_of(Some(&other.url), &["log", "audit", &place, "--key", &key]).exits(0);
    back.was_asked(false);
    other.was_asked(true);
    // In circles, or to something that is not the web: an end, and no key.
    let listener = Server::start(Does::LeadsTo("file:///etc".to_owned()));
    let place = format!("{}/log/", listener.url);
    let ran = with_key_of(None, &["log", "audit", &place, "--key", &key]).exits(1);
    assert!(ran.stderr.contains("is not followed"), "{ran:?}");
}

#[test]
fn a_mistyped_variable_is_told() {
    let server = Server::start(Does::Refuses);
    let mut command = sentinel(&["quotas", "--url", &server.url]);
    let empty = Folder::new();
    command.current_dir(empty.path()).env("SENTINEL_APIKEY", SECRET).env("SENTINEL_TENANT", "x");
    let ran: Ran = command.output().unwrap().into();
    let told = "warning: `SENTINEL_APIKEY` is not read; did you mean `SENTINEL_API_KEY`?";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert!(!ran.stderr.contains(SECRET) && !ran.stderr.contains("SENTINEL_TENANT"), "{ran:?}");
    server.was_asked(false);
}
