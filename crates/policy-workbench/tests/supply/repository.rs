//! Policies in a Git repository.

use std::path::Path;
use std::process::Command;

use crate::setup::Setup;
use crate::support::{self, now};

/// A repository with a policy in `team/`.
struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = Self { dir };
        repository.git(&["init", "--quiet", "--initial-branch=main", "."]);
        repository
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(["-c", "commit.gpgSign=false"])
            .args(args)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits a policy; returns the commit.
    fn commit(&self, allow: bool, sign: &[&str]) -> String {
        self.commit_tested(allow, allow, sign)
    }

    /// The same, with a test that expects another policy.
    fn commit_tested(&self, allow: bool, expected: bool, sign: &[&str]) -> String {
        let rules = format!("package sentinel.policy\n\ndecision := {{\"allow\": {allow}}}\n");
        let test = format!(
            "package sentinel.policy_test\n\nimport data.sentinel.policy\n\n\
             test_it if policy.decision.allow == {expected}\n"
        );
        support::write(
            self.dir.path(),
            &[
                ("team/policy.rego", &rules),
                // Were it part of the policy, it would contradict it.
                ("team/policy_test.rego", &test),
                ("team/.hidden/other.rego", "nor is this"),
                ("README.md", &rules),
            ],
        );
        self.git(&["add", "."]);
        let mut args = sign.to_vec();
        args.extend(["commit", "--quiet", "--allow-empty", "-m", "policy"]);
        if !sign.is_empty() {
            args.push("-S");
        }
        self.git(&args);
        self.git(&["rev-parse", "HEAD"])
    }

    fn address(&self, fragment: &str) -> String {
        format!("git+file://{}#{fragment}", self.dir.path().display())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_a_repository_is_followed_and_never_back() {
    let repository = Repository::new();
    let first = repository.commit(true, &[]);
    // A hook of the repository, and one of ours, would leave a trace.
    let trace = repository.dir.path().join("trace");
    let hook = format!("#!/bin/sh\ntouch {}\n", trace.display());
    for name in ["post-checkout", "reference-transaction", "post-index-change"] {
        let path = repository.dir.path().join(".git/hooks").join(name);
        std::fs::write(&path, &hook).unwrap();
    }
    let setup = Setup::of(&repository.address("main:team"));
    let running = setup.start();
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{first}")));
    assert_eq!((running.poll().await.unwrap(), running.allows()), (None, Ok(true)));
    let second = repository.commit(false, &[]);
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{second}")));
    assert_eq!(running.allows(), Ok(false));
    repository.git(&["reset", "--quiet", "--hard", &first]);
    assert!(running.refused().await.contains("was in force before"));
    assert_eq!(running.allows(), Ok(false));
    assert!(!trace.exists(), "a hook ran");
    drop(repository);
    running.refused().await;
    let restarted = setup.start();
    let restored = restarted.keeper.restore(now()).unwrap();
    assert_eq!(restored.as_deref(), Some(format!("git:{second}").as_str()));
    assert_eq!(restarted.allows(), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_own_tests_fail_does_not_come_into_force() {
    let repository = Repository::new();
    repository.commit(false, &[]);
    let running = Setup::of(&repository.address("main:team")).start();
    running.poll().await.unwrap();
    repository.commit_tested(true, false, &[]);
    let why = running.refused().await;
    assert!(why.contains("`data.sentinel.policy_test.test_it` does not hold"), "{why}");
    assert_eq!(running.allows(), Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_followed_and_what_is_not_there_is_told() {
    let repository = Repository::new();
    let tagged = repository.commit(true, &[]);
    repository.git(&["tag", "-a", "v1", "-m", "one"]);
    repository.commit(false, &[]);
    let setup = Setup::of(&repository.address("v1:team"));
    let running = setup.start();
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{tagged}")));
    for (fragment, why) in [
        ("nowhere:team", "the repository has no branch or tag `nowhere`"),
        ("main:elsewhere", "has no directory `elsewhere`"),
        ("main:README.md", "has no directory `README.md`"),
        ("main", ""),
    ] {
        let setup = Setup::of(&repository.address(fragment));
        let polled = setup.start().poll().await;
        // The whole repository is a policy directory, too.
        assert_eq!(polled.is_ok(), fragment == "main", "{fragment}: {polled:?} {why}");
        assert!(format!("{polled:?}").contains(why), "{fragment}: {polled:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let address = format!("git+file://{}#main", empty.path().display());
    let polled = format!("{:?}", Setup::of(&address).start().poll().await);
    let why = format!(
        "there is no repository at `file://{}`, or no right to read it",
        empty.path().display()
    );
    assert!(polled.contains(&why), "{polled}");
    repository.git(&["branch", "v1"]);
    assert!(running.refused().await.contains("a tag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_commits_of_allowed_signers_come_into_force() {
    let repository = Repository::new();
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        path
    };
    let (good, other) = (key("good"), key("other"));
    let public = std::fs::read_to_string(good.with_extension("pub")).unwrap();
    let signers = keys.path().join("signers");
    std::fs::write(&signers, format!("a@example.com {public}")).unwrap();
    let signing = |key: &Path| {
        let key = format!("user.signingKey={}", key.display());
        ["-c".to_owned(), "gpg.format=ssh".to_owned(), "-c".to_owned(), key]
    };
    let commit = |allow, key: Option<&Path>| {
        let args = key.map(signing).unwrap_or_default();
        let args: Vec<&str> = args.iter().map(String::as_str).filter(|a| !a.is_empty()).collect();
        repository.commit(allow, &args)
    };
    let mut setup = Setup::of(&repository.address("main:team"));
    setup.access.allowed_signers = Some(signers);
    let running = setup.start();
    commit(true, None);
    assert!(running.refused().await.contains("is not signed by an allowed signer"));
    let signed = commit(true, Some(&good));
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{signed}")));
    for key in [None, Some(other.as_path())] {
        commit(false, key);
        assert!(running.refused().await.contains("is not signed by an allowed signer"));
        assert_eq!(running.allows(), Ok(true));
    }
    let fixed = commit(false, Some(&good));
    assert_eq!(running.poll().await.unwrap(), Some(format!("git:{fixed}")));
}
