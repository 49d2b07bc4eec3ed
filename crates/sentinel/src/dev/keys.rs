//! The API keys of `sentinel dev`: one per role, made at the first start and kept in a file that
//! only its owner can read.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use sentinel_core::name::DisplayName;
use sentinel_core::page::Page;
use sentinel_core::principal::{KeyHash, Principal, Role};
use sentinel_service::keys::KeySpec;
use sentinel_service::{ServiceError, Services};

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::parts::private_file::write_private;

/// API keys by role.
pub(crate) type RoleKeys = BTreeMap<Role, String>;

/// What to do about a file that should hold keys and does not: people may still read keys in it.
pub(crate) const NOT_KEYS: &str = "restore it, or give it another name: the next start makes new keys, and those in it stay valid \
     until they are revoked";

/// Reads a file of keys; `None` when there is none.
///
/// # Errors
/// When it cannot be read or is not such a file.
pub(crate) fn read(path: &Path) -> Outcome<Option<RoleKeys>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(format!("cannot read `{}`: {error}", path.display()))
                .help("let the user that runs this own it, with mode 600"));
        }
    };
    // The parser's message could repeat a key, so it is not shown.
    serde_json::from_str(&text).map(Some).map_err(|_| {
        Failure::new(format!("`{}` is not a file of keys by role", path.display())).help(NOT_KEYS)
    })
}

/// The keys of a data directory, and those of them that were made just now.
pub(crate) struct DevKeys {
    pub(crate) all: RoleKeys,
    pub(crate) new: BTreeSet<Role>,
}

/// Makes a key for each role that has none in the file, or whose key the store does not know
/// (the database was removed). A key that was revoked stays revoked.
///
/// # Errors
/// When the store or the file cannot be read or written.
pub(crate) async fn ensure(services: &Services, path: &Path) -> Outcome<DevKeys> {
    let mut all = read(path)?.unwrap_or_default();
    let known = known(services).await.or_fail(|| "cannot read the API keys".to_owned())?;
    let mut new = BTreeSet::new();
    for role in Role::ALL {
        if all.get(&role).is_some_and(|secret| known.contains(&KeyHash::of(secret))) {
            continue;
        }
        all.insert(role, create(services, role).await?);
        new.insert(role);
    }
    if !new.is_empty() {
        let json = serde_json::to_string_pretty(&all).or_fail(|| "cannot write keys".to_owned())?;
        write_private(path, format!("{json}\n").as_bytes())
            .or_fail(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(DevKeys { all, new })
}

async fn create(services: &Services, role: Role) -> Outcome<String> {
    let doing = || format!("cannot make the key of role {}", role.as_str());
    let name: DisplayName = format!("dev {}", role.as_str()).parse().or_fail(doing)?;
    let spec = KeySpec { name, role, tenant: None, agent: None, owner: None };
    // The first keys are made by the user who started the process.
    let made = services.keys.create(&Principal::LOCAL, spec).await.or_fail(doing)?;
    Ok(made.secret)
}

async fn known(services: &Services) -> Result<BTreeSet<KeyHash>, ServiceError> {
    let mut known = BTreeSet::new();
    let mut page = Page::first(Page::MAX_LIMIT);
    loop {
        let found = services.store.keys(None, page.clone()).await?;
        known.extend(found.items.into_iter().map(|key| key.hash));
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(known),
        }
    }
}
