//! A small file system for the tables of the database, which can be filled.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FallocateFlags, fallocate};

/// Room for the longest run.
const SIZE: &str = "size=3g,mode=755";

/// A `tmpfs` in the mount namespace of this process, with which it goes.
#[derive(Debug)]
pub(crate) struct Disk {
    mount: PathBuf,
    pub(crate) tables: PathBuf,
}

impl Disk {
    pub(crate) fn mount(folder: &Path) -> Result<Self> {
        let mount = folder.join("disk");
        fs::create_dir(&mount)?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&mount)).context(
            "filling a disk needs root, and a mount namespace; `--no-disk` leaves it out",
        )?;
        let tables = mount.join("tables");
        fs::create_dir(&tables)?;
        run(Command::new("chown").arg("postgres:postgres").arg(&tables))?;
        run(Command::new("chmod").arg("700").arg(&tables))?;
        Ok(Self { mount, tables })
    }

    /// Takes every page that is left.
    pub(crate) fn fill(&self) -> Result<()> {
        let file = File::create(self.ballast())?;
        let (mut offset, mut step) = (0, 1_u64 << 30);
        while step >= 4096 {
            match fallocate(&file, FallocateFlags::empty(), offset, step) {
                Ok(()) => offset += step,
                Err(rustix::io::Errno::NOSPC) => step /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(crate) fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server is gone by now; what is left goes with the namespace.
        drop(Command::new("umount").arg("--lazy").arg(&self.mount).status());
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
