//! Ends the children of a gateway that was killed.
//!
//! A gateway that is ended with SIGKILL cannot end its children, and a server may ignore that its
//! standard input was closed. So a small shell knows the process groups of all children. It reads
//! them from a pipe whose other end only this process has; at the end of the pipe it ends the groups
//! that are left. Two things are not covered: a child that was started in the instant before the
//! shell was told, and a machine without `/bin/sh`, where the closed standard input has to do.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

/// Signals that end a whole session must not end the shell before the gateway.
const SCRIPT: &str = r#"trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) case $groups in
         *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
       esac ;;
  esac
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -TERM "-$group"; done
sleep 1
for group in $groups; do kill -KILL "-$group"; done
"#;

#[derive(Debug, Default)]
struct Watchdog {
    shell: Option<(Child, ChildStdin)>,
    groups: Vec<Pid>,
}

static WATCHDOG: Mutex<Watchdog> = Mutex::new(Watchdog { shell: None, groups: Vec::new() });

/// Watches a process group until [`forget`] is called.
pub(super) fn watch(group: Pid) {
    let mut watchdog = WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog.groups.push(group);
    watchdog.tell('+', group);
}

/// The group has ended; its number may be given to another.
pub(super) fn forget(group: Pid) {
    let mut watchdog = WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner);
    watchdog.groups.retain(|watched| *watched != group);
    watchdog.tell('-', group);
}

impl Watchdog {
    fn tell(&mut self, sign: char, group: Pid) {
        let line = format!("{sign} {}\n", group.as_raw_nonzero());
        let told = match &mut self.shell {
            Some((_, pipe)) => pipe.write_all(line.as_bytes()).is_ok(),
            None => false,
        };
        if !told {
            self.restart();
        }
    }

    /// A new shell, which is told all groups.
    fn restart(&mut self) {
        if let Some((mut shell, pipe)) = self.shell.take() {
            drop(pipe);
            drop(shell.kill());
            drop(shell.wait());
        }
        if self.groups.is_empty() {
            return;
        }
        match start() {
            Ok((shell, mut pipe)) => {
                let groups = self.groups.iter().map(|group| group.as_raw_nonzero());
                let lines: String = groups.map(|group| format!("+ {group}\n")).collect();
                if pipe.write_all(lines.as_bytes()).is_ok() {
                    self.shell = Some((shell, pipe));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "children of a gateway that is killed may go on: no `/bin/sh`");
            }
        }
    }
}

fn start() -> std::io::Result<(Child, ChildStdin)> {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let pipe = shell.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    Ok((shell, pipe))
}
