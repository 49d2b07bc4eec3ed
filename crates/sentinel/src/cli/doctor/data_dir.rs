//! What `sentinel doctor` looks at in the data directory of `sentinel dev`.

use std::path::{Path, PathBuf};

use sentinel_core::store::StoreError;
use sentinel_policy::Vetter;
use sentinel_policy_analysis::SourceLimits;
use sentinel_signers::{owner_only, shell_word};
use sentinel_store_sqlite::SqliteStore;

use super::{Finding, Presence, unseen};
use crate::dev::data_dir::DataDir;
use crate::dev::keys;
use crate::parts::{payload_key, signing_key};

pub(super) fn look(dir: &DataDir, policies: Option<PathBuf>, server_runs: bool) -> Vec<Finding> {
    let mut findings = vec![directory(dir)];
    if let Presence::There = Presence::of(dir.path()) {
        findings.extend([signing(dir), payload(dir), api_keys(dir), database(dir, server_runs)]);
    }
    findings.push(policy(&policies.unwrap_or_else(|| dir.policies())));
    findings
}

fn directory(dir: &DataDir) -> Finding {
    const CHECK: &str = "data dir";
    let path = dir.path().display();
    match dir.exposed() {
        Ok(None) => Finding::good(CHECK, format!("`{path}` is yours alone")),
        Ok(Some(mode)) => Finding::bad(
            CHECK,
            format!("`{path}` is open to others (mode {mode:04o})"),
            owner_only(dir.path(), "700"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good(CHECK, format!("`{path}` does not exist yet; `sentinel dev` makes it"))
        }
        Err(error) => unseen(CHECK, dir.path(), &error),
    }
}

fn signing(dir: &DataDir) -> Finding {
    const CHECK: &str = "signing key";
    let path = dir.signing_key();
    match (Presence::of(&path), Presence::of(&dir.database())) {
        (Presence::Unknown(error), _) => return unseen(CHECK, &path, &error),
        (Presence::Missing, Presence::There) => {
            return Finding::bad(
                CHECK,
                format!("`{}` is missing, and the database was used with it", path.display()),
                "restore the key from a backup; the next start makes another, which cannot vouch \
                 for what that one signed",
            );
        }
        (Presence::Missing, _) => {
            return Finding::good(CHECK, "not made yet; the first start makes it");
        }
        (Presence::There, _) => {}
    }
    match signing_key::load(&path) {
        Ok(_) => Finding::good(CHECK, format!("`{}` can be used", path.display())),
        Err(error) => {
            let fix = error.fix().unwrap_or_else(|| {
                "restore the key from a backup; a new one cannot vouch for old manifests".to_owned()
            });
            Finding::bad(CHECK, error.to_string(), fix)
        }
    }
}

fn payload(dir: &DataDir) -> Finding {
    const CHECK: &str = "payload key";
    let path = dir.payload_key();
    match Presence::of(&path) {
        Presence::Unknown(error) => return unseen(CHECK, &path, &error),
        Presence::Missing => return Finding::good(CHECK, "not made yet; the next start makes it"),
        Presence::There => {}
    }
    match payload_key::load(&path) {
        Ok(_) => Finding::good(CHECK, format!("`{}` can be used", path.display())),
        Err(error) => Finding::bad(CHECK, error.to_string(), error.fix()),
    }
}

fn api_keys(dir: &DataDir) -> Finding {
    const CHECK: &str = "API keys";
    let path = dir.keys();
    match keys::read(&path) {
        Ok(Some(found)) => Finding::good(CHECK, format!("{} in `{}`", found.len(), path.display())),
        Ok(None) => Finding::good(CHECK, "not made yet; the next start makes them"),
        Err(failure) => Finding::failed(CHECK, &failure),
    }
}

fn database(dir: &DataDir, server_runs: bool) -> Finding {
    const CHECK: &str = "database";
    let path = dir.database();
    let shown = path.display();
    match Presence::of(&path) {
        Presence::Unknown(error) => return unseen(CHECK, &path, &error),
        Presence::Missing => return Finding::good(CHECK, "not made yet; the first start makes it"),
        Presence::There => {}
    }
    match SqliteStore::open(&path) {
        Ok(_) => Finding::good(CHECK, format!("`{shown}` opens and its schema is current")),
        Err(StoreError::InUse { .. }) => {
            let detail = format!("`{shown}` is open in another process");
            if server_runs {
                Finding::good(CHECK, detail)
            } else {
                Finding::bad(
                    CHECK,
                    detail,
                    "that server does not answer: stop it, or give its --url",
                )
            }
        }
        Err(error) => Finding::bad(
            CHECK,
            error.to_string(),
            format!("restore `{shown}` from a backup; until then another --data-dir can be used"),
        ),
    }
}

fn policy(path: &Path) -> Finding {
    const CHECK: &str = "policies";
    let shown = path.display();
    match Presence::of(path) {
        Presence::Unknown(error) => return unseen(CHECK, path, &error),
        Presence::Missing => {
            return Finding::good(
                CHECK,
                "not written yet; the first start writes the shipped ones",
            );
        }
        Presence::There => {}
    }
    let vetted = Vetter::own()
        .map_err(|error| error.to_string())
        .and_then(|vetter| vetter.vet(path, &SourceLimits::default()).map_err(|e| e.to_string()));
    match vetted {
        Ok(vetted) => Finding::good(
            CHECK,
            format!("`{shown}` is sound, revision {}", vetted.source().revision()),
        ),
        Err(error) if error.starts_with("cannot read") => {
            Finding::bad(CHECK, error, super::LET_READ)
        }
        Err(error) => {
            let path = shell_word(path).unwrap_or_else(|| "DIR".to_owned());
            Finding::bad(CHECK, error, format!("correct it, then: sentinel policy check {path}"))
        }
    }
}
