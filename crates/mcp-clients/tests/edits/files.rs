//! Files: permissions, links, backups, and changes in between.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use sentinel_mcp_clients::{ConfigFile, Error, backup_of};

#[test]
fn permissions_and_links_stay_and_the_first_text_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let (real, link) = (dir.join("dotfiles.json"), dir.join("mcp.json"));
    fs::write(&real, "one").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();
    let file = ConfigFile::read(&link).unwrap().unwrap();
    assert_eq!(file.path(), real);
    let saved = file.save("two").unwrap();
    assert_eq!(saved.backup.as_deref(), Some(&*backup_of(&real)));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&link).unwrap(), "two");
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::metadata(backup_of(&real)).unwrap().mode() & 0o777, 0o640);
    // The second edit keeps the first backup.
    let file = ConfigFile::read(&link).unwrap().unwrap();
    assert_eq!(file.save("three").unwrap().backup, None);
    assert_eq!(fs::read_to_string(backup_of(&real)).unwrap(), "one");
    let file = ConfigFile::read(&link).unwrap().unwrap();
    file.restore("two", false).unwrap();
    assert!(backup_of(&real).exists());
    let file = ConfigFile::read(&link).unwrap().unwrap();
    file.restore("one", true).unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "something was left behind");
}

#[test]
fn a_file_that_changed_in_between_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mcp.json");
    fs::write(&path, "one").unwrap();
    let file = ConfigFile::read(&path).unwrap().unwrap();
    fs::write(&path, "of the client").unwrap();
    assert!(matches!(file.save("two"), Err(Error::Changed { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "of the client");
}

#[test]
fn what_is_absent_is_none_and_a_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ConfigFile::read(&dir.path().join("none")).unwrap().is_none());
    assert!(matches!(ConfigFile::read(dir.path()), Err(Error::NotAFile { .. })));
    fs::write(dir.path().join("x"), [0xff, 0xfe]).unwrap();
    assert!(matches!(ConfigFile::read(&dir.path().join("x")), Err(Error::Io { .. })));
}
