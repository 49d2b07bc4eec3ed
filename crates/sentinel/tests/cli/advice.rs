//! What is advised does no harm: whatever is wrong with a key, every command that is printed is
//! run, and every file is as it was.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Ran, sentinel};

/// What a shell would do something with, if it were not quoted.
const NAME: &str = "it's a \"key\" $(touch pwned) `touch pwned` ; touch pwned";
const BEGINNINGS: [&str; 6] = ["(umask", "chmod ", "mkdir ", "openssl ", "sentinel ", "tar "];

/// A deployment in a folder of that name, with a key of each kind.
struct Deployment {
    _root: TempDir,
    dir: PathBuf,
}

fn openssl(args: &[&str], dir: &Path) {
    let ran = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

impl Deployment {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(NAME);
        std::fs::create_dir_all(dir.join("policies")).unwrap();
        set_mode(root.path(), 0o755);
        let it = Self { _root: root, dir };
        let p256 = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        openssl(&[&p256[..], &["-out", "signing key.pem"]].concat(), &it.dir);
        openssl(&["genpkey", "-algorithm", "ED25519", "-out", "log key.pem"], &it.dir);
        openssl(&["genpkey", "-algorithm", "RSA", "-out", "rsa.pem"], &it.dir);
        openssl(&["ec", "-in", "signing key.pem", "-out", "sec1.pem"], &it.dir);
        it.write("passphrase", "correct horse\n");
        for (cipher, name) in [("aes-256-cbc", "encrypted.pem"), ("des3", "des3.pem")] {
            let pass = ["-passout", "file:passphrase", "-v2", cipher, "-out", name];
            openssl(&[&["pkcs8", "-topk8", "-in", "signing key.pem"][..], &pass].concat(), &it.dir);
        }
        it.write("payload key", &"0a".repeat(32));
        it.write("policies/p.rego", "package sentinel.policy\n\ndefault allow := false\n");
        for name in ["signing key.pem", "log key.pem", "rsa.pem", "sec1.pem", "encrypted.pem"] {
            set_mode(&it.dir.join(name), 0o600);
        }
        set_mode(&it.dir.join("des3.pem"), 0o600);
        it
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.dir.join(name), content).unwrap();
        set_mode(&self.dir.join(name), 0o600);
    }

    /// The configuration, with these fields in place of the sound ones.
    fn configured(&self, fields: &[(&str, &str)]) -> PathBuf {
        let sound = [
            ("database_url", format!("sqlite://{}/sentinel.db", self.dir.display())),
            ("policy_dir", self.path("policies")),
            ("signing_key_file", self.path("signing key.pem")),
        ];
        let mut all: BTreeMap<&str, String> = sound.into_iter().collect();
        for (name, value) in fields {
            let is_file = name.ends_with("_file") && !value.starts_with('/');
            all.insert(name, if is_file { self.path(value) } else { (*value).to_owned() });
        }
        // A JSON document is a YAML document.
        let path = self.dir.join("config.yaml");
        std::fs::write(&path, serde_json::to_string_pretty(&all).unwrap()).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Names, contents and owners of all files.
    fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
        fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, (Vec<u8>, u32)>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let about = std::fs::symlink_metadata(&path).unwrap();
                if about.is_dir() {
                    found.insert(path.clone(), (Vec::new(), about.uid()));
                    walk(&path, found);
                } else {
                    found.insert(path.clone(), (std::fs::read(&path).unwrap(), about.uid()));
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.dir, &mut found);
        found
    }

    fn says(&self, command: &[&str], user: Option<u32>) -> Ran {
        let mut command = sentinel(command);
        command.current_dir(&self.dir);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        command.output().unwrap().into()
    }
}

/// The commands that a text tells people to run.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(advice) = ["help: ", "fix: "]
            .iter()
            .find_map(|label| line.split_once(label).map(|(_, advice)| advice))
        else {
            continue;
        };
        let mut rest = advice;
        while let Some(start) = BEGINNINGS.iter().filter_map(|begin| rest.find(begin)).min() {
            let command = rest.get(start..).unwrap();
            let end = if command.starts_with("(umask") {
                command.rfind(')').unwrap() + 1
            } else {
                // To the end of its quotation marks, or of the line.
                let quoted = start > 0 && rest.as_bytes()[start - 1] == b'`';
                if quoted { command.find('`').unwrap() } else { command.len() }
            };
            found.push(command.get(..end).unwrap().to_owned());
            rest = command.get(end..).unwrap();
        }
    }
    found
}

/// Runs everything that is advised, and asserts that no file that was there has changed.
#[track_caller]
fn is_harmless(it: &Deployment, advice: &str) -> Vec<String> {
    let harmful = regex::Regex::new(r"\b(rm|mv|remove it|delete|overwrite)\b| -out ").unwrap();
    assert!(!harmful.is_match(advice), "{:?} in {advice}", harmful.find(advice));
    let before = it.files();
    let commands = commands(advice);
    for command in &commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(&it.dir).stdin(std::process::Stdio::null());
        shell.output().unwrap();
    }
    let after = it.files();
    for (path, content) in &before {
        assert_eq!(after.get(path), Some(content), "{} changed: {commands:?}", path.display());
    }
    assert!(after.keys().all(|path| !path.ends_with("pwned")), "{commands:?}");
    commands
}

/// Its name, what is wrong in the configuration, and what must be said of it.
type Cause = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// What is wrong, in fields of the configuration, and what must be said of it.
const CAUSES: [Cause; 17] = [
    ("missing", &[("signing_key_file", "none.pem")], "restore the file of the key"),
    ("missing log key", &[("log_key_file", "none-log.pem")], "restore the file of the key"),
    ("missing directory", &[("signing_key_file", "none/none.pem")], "correct the path"),
    ("below a file", &[("signing_key_file", "passphrase/key.pem")], "is a file"),
    ("directory", &[("signing_key_file", "policies")], "name the file of the key in it"),
    ("no passphrase", &[("signing_key_file", "encrypted.pem")], "signing_key_passphrase_file"),
    (
        "wrong passphrase",
        &[("signing_key_file", "encrypted.pem"), ("signing_key_passphrase_file", "payload key")],
        "correct the passphrase",
    ),
    (
        "missing passphrase",
        &[("signing_key_file", "encrypted.pem"), ("signing_key_passphrase_file", "none")],
        "restore the file of the passphrase",
    ),
    (
        "passphrase directory",
        &[("signing_key_file", "encrypted.pem"), ("signing_key_passphrase_file", "policies")],
        "name the file of the passphrase in it",
    ),
    (
        "not encrypted",
        &[("signing_key_passphrase_file", "passphrase")],
        "remove the passphrase from the configuration",
    ),
    (
        "cipher",
        &[("signing_key_file", "des3.pem"), ("signing_key_passphrase_file", "passphrase")],
        "write the key to a new file",
    ),
    ("not a key", &[("signing_key_file", "passphrase")], "BEGIN PRIVATE KEY"),
    ("another form", &[("signing_key_file", "sec1.pem")], "write the key to a new file"),
    ("another algorithm", &[("signing_key_file", "rsa.pem")], "to make one beside it"),
    ("another kind", &[("signing_key_file", "log key.pem")], "leave this one as it is"),
    ("another kind of log key", &[("log_key_file", "signing key.pem")], "leave this one as it is"),
    ("payload key", &[("payload_key_file", "passphrase")], "another key reads nothing"),
];

#[test]
fn no_advice_about_a_key_changes_a_file() {
    let it = Deployment::new();
    let mut run = 0;
    for (cause, fields, says) in CAUSES {
        let config = it.configured(fields);
        let config = config.to_str().unwrap();
        let mut told = String::new();
        for command in ["serve", "doctor", "signing-key"] {
            if command == "signing-key" && cause.contains("payload") {
                continue;
            }
            let ran = it.says(&[command, "--config", config], None).exits(1);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains(says), "{cause}: {command}: {said}");
            told.push_str(&said);
        }
        run += is_harmless(&it, &told).len();
    }
    assert!(run >= 8, "only {run} commands were advised");
}

#[test]
fn a_missing_key_is_made_by_what_is_advised_and_only_once() {
    let it = Deployment::new();
    let config = it.configured(&[("signing_key_file", "new key.pem"), ("payload_key_file", "new")]);
    let config = config.to_str().unwrap();
    let refused = it.says(&["serve", "--config", config], None).exits(1).stderr;
    let made = is_harmless(&it, &refused);
    assert_eq!(made.len(), 2, "{refused}");
    let again = it.says(&["serve", "--config", config], None).exits(1).stderr;
    assert!(again.contains("no API key") && !again.contains("signing key"), "{again}");
    // The same advice, pasted a second time.
    is_harmless(&it, &refused);
    assert!(it.files().keys().all(|path| !path.ends_with("new-key")));
}

#[test]
fn a_key_that_others_can_read_is_closed_to_them_by_what_is_advised() {
    let it = Deployment::new();
    set_mode(&it.dir.join("signing key.pem"), 0o644);
    let config = it.configured(&[]);
    let refused = it.says(&["serve", "--config", config.to_str().unwrap()], None).exits(1).stderr;
    let commands = is_harmless(&it, &refused);
    assert!(commands.iter().any(|command| command.starts_with("chmod 600 ")), "{refused}");
    let mode = std::fs::metadata(it.dir.join("signing key.pem")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// As another user, when this one may read everything.
#[test]
fn a_key_that_may_not_be_read_is_left_to_its_owner() {
    let it = Deployment::new();
    let config = it.configured(&[]);
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let user = is_root.then_some(65534);
    set_mode(&config, 0o644);
    if !is_root {
        set_mode(&it.dir.join("signing key.pem"), 0o000);
    }
    let config = config.to_str().unwrap();
    for (command, status) in [("serve", 1), ("signing-key", 1), ("doctor", 1)] {
        let ran = it.says(&[command, "--config", config], user).exits(status);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("Permission denied"), "{command}: {said}");
        assert!(said.contains("own the file of the key"), "{command}: {said}");
        assert!(!said.contains("genpkey"), "{command}: {said}");
        if is_root {
            is_harmless(&it, &said);
        }
    }
}

/// Files with text for people: messages of the crates, pages and scripts.
fn texts() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "tests" | "node_modules" | "target") {
                    walk(&path, found);
                }
            } else if [".rs", ".md", ".py", ".sh"].iter().any(|end| name.ends_with(end)) {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for dir in ["crates", "docs", "policies", "scripts"] {
        walk(&root.join(dir), &mut found);
    }
    found.push((root.join("README.md"), std::fs::read_to_string(root.join("README.md")).unwrap()));
    found
}

#[test]
fn no_page_and_no_message_has_a_command_that_writes_over_a_key() {
    let makes = regex::Regex::new(r"openssl (genpkey|rand|pkcs8|ecparam|req)\b").unwrap();
    let out = regex::Regex::new(r"openssl (genpkey|rand|pkcs8|ecparam)\b[^|\n`]* -out\b").unwrap();
    let into = regex::Regex::new(r"openssl (genpkey|rand|pkcs8|ecparam)\b[^|\n`]*> ").unwrap();
    let mut looked_at = 0;
    for (path, text) in texts() {
        let path = path.display();
        assert!(!out.is_match(&text), "{path}: `-out` writes over a key that is there");
        assert!(
            !into.is_match(&text) || text.contains("set -C;") || text.contains("; set -C"),
            "{path}: a key is written without `set -C`"
        );
        assert!(!text.contains("rm -rf .sentinel"), "{path}: a data directory holds keys");
        looked_at += usize::from(makes.is_match(&text));
    }
    assert!(looked_at >= 4, "only {looked_at} files make keys");
}
