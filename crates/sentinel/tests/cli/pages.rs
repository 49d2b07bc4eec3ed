//! Pages for first readers: every command in them is run, and prints what the page shows.
//!
//! A fenced block `console` has commands after `$ ` and their output below. A block after a line that
//! ends with "as `PATH`:" is the content of that file. `UPDATE_DOCS=1` writes the output of the
//! commands into the pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::support::{Folder, Server, sentinel};

/// The address in the pages, where the server listens by default.
const ADDRESS: &str = "http://127.0.0.1:8000";
const MARK: &str = "@@next@@";

/// A command of a page. The lines of its output are `output.0` up to before `output.1`.
struct Shown {
    command: String,
    output: (usize, usize),
}

fn page(path: &str) -> (PathBuf, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text.lines().map(str::to_owned).collect())
}

/// Writes the files that a page has the reader save.
fn save_files(lines: &[String], folder: &Folder) {
    for (number, line) in lines.iter().enumerate() {
        let Some(path) = line.strip_suffix("`:").and_then(|line| line.rsplit_once("as `")) else {
            continue;
        };
        let block = lines[number + 1..].iter().skip_while(|line| !line.starts_with("```")).skip(1);
        let content: Vec<_> = block.take_while(|line| *line != "```").cloned().collect();
        folder.file(path.1, &(content.join("\n") + "\n"));
    }
}

fn commands(lines: &[String]) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut number = 0;
    let mut is_console = false;
    while number < lines.len() {
        let line = &lines[number];
        number += 1;
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let Some(first) = line.strip_prefix("$ ")
            && is_console
        {
            let mut command = first.to_owned();
            // A quoted argument or a backslash continues on the next line.
            while command.ends_with('\\') || command.matches('\'').count() % 2 == 1 {
                command.push('\n');
                command.push_str(&lines[number]);
                number += 1;
            }
            let from = number;
            while !lines[number].starts_with("$ ") && !lines[number].starts_with("```") {
                number += 1;
            }
            found.push(Shown { command, output: (from, number) });
        }
    }
    found
}

/// Runs the commands in one shell, and returns the lines that each of them prints.
fn run(shown: &[Shown], folder: &Folder, server: &Server) -> Vec<Vec<String>> {
    let mut script = "exec 2>&1\n".to_owned();
    for each in shown {
        let command = each.command.replace(ADDRESS, &server.url);
        script.push_str(&format!("{command}\necho {MARK}\n"));
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_sentinel")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(folder.path());
    shell.env("PATH", path).env("SENTINEL_URL", &server.url).env_remove("SENTINEL_API_KEY");
    let output = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    let mut printed: Vec<Vec<String>> = output
        .split(&format!("{MARK}\n"))
        .map(|part| part.lines().map(str::to_owned).collect())
        .collect();
    assert_eq!(printed.pop(), Some(Vec::new()), "{output}");
    printed
}

/// The line without what differs from run to run.
fn normal(line: &str) -> String {
    let varies = Regex::new(
        r"(?x) [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} | SHA256:[\w+/]{43} | [0-9a-f]{64}
        | \d{4}-\d\d-\d\dT[\d:.]+Z | epoch\s+\d+ ",
    );
    let line = varies.unwrap().replace_all(line, "…");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shows_what_is_printed(path: &str) {
    let (path, mut lines) = page(path);
    let folder = Folder::new();
    save_files(&lines, &folder);
    let mut shown = commands(&lines);
    assert!(shown.len() > 2, "{} has no commands", path.display());

    let mut start = vec!["dev"];
    let starts = shown.iter().position(|each| each.command.starts_with("sentinel dev"));
    let given = starts.map(|number| shown.remove(number).command).unwrap_or_default();
    start.extend(given.split_whitespace().skip(2));
    start.extend(["--listen", "127.0.0.1:0", "--log", "json"]);
    let mut command = sentinel(&start);
    command.current_dir(folder.path());
    let server = Server::start(command, folder.path().join(".sentinel"));

    let printed = run(&shown, &folder, &server);
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let normal = |lines: &[String]| lines.iter().map(|line| normal(line)).collect::<Vec<_>>();
    for (each, printed) in shown.iter().zip(printed).rev() {
        let expected = normal(&lines[each.output.0..each.output.1]);
        if update && normal(&printed) != expected {
            lines.splice(each.output.0..each.output.1, printed);
            continue;
        }
        let (page, command) = (path.display(), &each.command);
        assert_eq!(normal(&printed), expected, "{page} is stale: run `make docs`: {command}");
    }
    if update {
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
}

#[test]
fn the_committed_readme_shows_what_its_commands_print() {
    shows_what_is_printed("README.md");
}

#[test]
fn the_committed_tutorial_shows_what_its_commands_print() {
    shows_what_is_printed("docs/tutorial.md");
}
