//! A PostgreSQL server of the test's own, on a free port of loopback.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A server in a temporary folder. It ends when this is dropped, and also when the process ends
/// without dropping it, however that happens.
#[derive(Debug)]
pub struct Server {
    binaries: PathBuf,
    folder: PathBuf,
    port: u16,
    fsync: bool,
    tls: bool,
    /// The shell that watches over the server; `None` while it is stopped.
    watcher: Mutex<Option<Child>>,
}

/// Starts the server and waits for an order: a line, or the end of the input, which comes when the
/// test process ends. Without a line the folder goes, too.
const WATCH: &str = r#"
    trap '' INT
    binaries=$1 folder=$2; shift 2
    "$binaries/postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1 &
    read -r order
    kill -QUIT $! && wait $!
    [ -n "$order" ] || rm -rf "$folder"
"#;

impl Server {
    /// Starts a server whose commits survive a crash.
    #[must_use]
    pub fn new() -> Self {
        Self::create(true, None)
    }

    /// Starts a server that is faster, and loses data only if the machine crashes.
    #[must_use]
    pub fn without_fsync() -> Self {
        Self::create(false, None)
    }

    /// Starts a server without fsync that also speaks TLS, with a certificate for the host name
    /// `host` by an authority of its own.
    #[must_use]
    pub fn with_tls(host: &str) -> Self {
        Self::create(false, Some(host))
    }

    /// The certificate of the authority of [`Server::with_tls`].
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    fn create(fsync: bool, tls_host: Option<&str>) -> Self {
        let binaries = binaries();
        let folder = temporary_folder();
        let mut initdb = unprivileged(&binaries.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=sentinel", "--encoding=UTF8"]);
        initdb.args(["--locale=C.UTF-8", "-D"]).arg(folder.join("data"));
        run(&mut initdb);
        if let Some(host) = tls_host {
            certify(&folder, host);
        }
        // Another process may take the port between choosing and using it: then another is tried.
        for _ in 0..5 {
            let (binaries, folder) = (binaries.clone(), folder.clone());
            let watcher = Mutex::new(None);
            let server = Self {
                binaries,
                folder,
                port: free_port(),
                fsync,
                tls: tls_host.is_some(),
                watcher,
            };
            if server.try_start() {
                return server;
            }
            server.order("try another port");
        }
        panic!("PostgreSQL does not start: {}", log(&folder));
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_at("127.0.0.1", database)
    }

    /// The URL of a database of this server under another name of loopback.
    #[must_use]
    pub fn url_at(&self, host: &str, database: &str) -> String {
        format!("postgres://sentinel@{host}:{}/{database}", self.port)
    }

    /// Creates a database, as a copy of `template`; `template0` is empty.
    pub fn create_database(&self, name: &str, template: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
    }

    /// Drops a database, connections to it included.
    pub fn drop_database(&self, name: &str) {
        self.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }

    /// Runs SQL in a database, past the store; returns the values of the rows.
    #[must_use]
    pub fn query(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        run(psql.arg(self.url(database)))
    }

    /// Runs SQL in a database, past the store.
    pub fn sql(&self, database: &str, sql: &str) {
        let _ = self.query(database, sql);
    }

    /// Ends the server at once, as a crash does: what was committed is in its log.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Starts it again, on the same port.
    pub fn start(&self) {
        assert!(self.try_start(), "PostgreSQL does not start again: {}", log(&self.folder));
    }

    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Starts the server; returns whether it takes connections.
    fn try_start(&self) -> bool {
        let mut shell = unprivileged(Path::new("sh"));
        shell.args(["-c", WATCH, "watch"]).arg(&self.binaries).arg(&self.folder);
        shell.args(["-p", &self.port.to_string(), "-k"]).arg(&self.folder);
        shell.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
        shell.args(["-c", if self.fsync { "fsync=on" } else { "fsync=off" }]);
        shell.args(["-c", if self.tls { "ssl=on" } else { "ssl=off" }]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = shell.spawn().expect("`sh` can be run");
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if self.is_ready() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Asked through the socket in its own folder: the port may be someone else's.
    fn is_ready(&self) -> bool {
        let mut ready = Command::new(self.binaries.join("pg_isready"));
        ready.arg("-q").arg("-h").arg(&self.folder).args(["-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    /// Ends the server and waits for it; an order that is empty removes its folder.
    fn order(&self, order: &str) {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut watcher) = watcher else { return };
        if let Some(mut stdin) = watcher.stdin.take() {
            // When the watcher is gone already there is nothing to tell.
            let _ = writeln!(stdin, "{order}");
        }
        let _ = watcher.wait();
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.order("");
        // It is still there when the server was stopped before.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folder of the newest PostgreSQL that is installed; panics when there is none, since the test
/// would prove nothing.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .map(|(version, path)| (version, path.join("bin")))
        .filter(|(_, path)| path.join("postgres").exists())
        .collect();
    found.sort_unstable();
    let newest = found.pop().map(|(_, path)| path);
    newest.expect("PostgreSQL is needed; `scripts/install.sh test` installs it")
}

/// A command run by a user that PostgreSQL lets be one: `postgres` when this is root.
fn unprivileged(program: &Path) -> Command {
    let me = run(Command::new("id").arg("-u"));
    if me.trim() != "0" {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    // The folder of the test may not be open to that user.
    command.current_dir("/");
    command
}

/// A folder that belongs to that user. Its path is short: that of a socket has 107 bytes at most.
fn temporary_folder() -> PathBuf {
    let mut mktemp = unprivileged(Path::new("mktemp"));
    let folder = run(mktemp.args(["-d", "/tmp/sentinel-postgres-XXXXXXXX"]));
    PathBuf::from(folder.trim())
}

/// Makes an authority, and a certificate for `host` where the server looks for it.
fn certify(folder: &Path, host: &str) {
    let openssl = |args: &str| {
        let mut command = unprivileged(Path::new("sh"));
        command.args(["-c", "umask 077; cd \"$1\"; shift; exec openssl \"$@\"", "certify"]);
        run(command.arg(folder).args(args.split(' ')));
    };
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("{new} -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.crt"));
    openssl(&format!(
        "{new} -subj /CN={host} -addext subjectAltName=DNS:{host} \
         -keyout data/server.key -out server.csr"
    ));
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
         -copy_extensions copy -out data/server.crt",
    );
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn log(folder: &Path) -> String {
    let path = folder.join("log");
    std::fs::read_to_string(&path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
}
