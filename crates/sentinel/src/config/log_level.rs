//! `log_level`: a word that is not a level would be taken for the name of a module, and nothing
//! else would be logged.

use tracing_subscriber::EnvFilter;

use super::document::nearest;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The crates that log, as they are named there.
const MODULES: [&str; 28] = [
    "sentinel",
    "sentinel_api",
    "sentinel_archive",
    "sentinel_client",
    "sentinel_core",
    "sentinel_evidence",
    "sentinel_ext_authz",
    "sentinel_gateway",
    "sentinel_http",
    "sentinel_ingress",
    "sentinel_listener",
    "sentinel_mcp_clients",
    "sentinel_mcp_protocol",
    "sentinel_objects",
    "sentinel_policy",
    "sentinel_policy_analysis",
    "sentinel_policy_bundles",
    "sentinel_policy_workbench",
    "sentinel_provenance",
    "sentinel_redis",
    "sentinel_service",
    "sentinel_signers",
    "sentinel_store_postgres",
    "sentinel_store_rows",
    "sentinel_store_sqlite",
    "sentinel_telemetry",
    "sentinel_tower",
    "sentinel_transparency",
];
pub(crate) const HELP: &str = "set it to off, error, warn, info, debug or trace, and add others for \
                               single modules: `info,sentinel_policy=debug`";

/// Why a text is not a log level.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogLevelError {
    #[error("it is empty")]
    Empty,
    #[error("write it without spaces")]
    Spaces,
    #[error("`{level}` is not a level; did you mean `{meant}`?")]
    Mistyped { level: String, meant: &'static str },
    #[error("`{0}` is not a level; of a module write `{0}=debug`")]
    Module(String),
    #[error("`{0}` is not a level")]
    Level(String),
    #[error("there is no module `{module}`; did you mean `{meant}`?")]
    UnknownModule { module: String, meant: &'static str },
    #[error(transparent)]
    Filter(#[from] tracing_subscriber::filter::ParseError),
}

/// Refuses what would be read as something else than was meant.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(text: &str) -> Result<(), LogLevelError> {
    if text.trim().is_empty() {
        return Err(LogLevelError::Empty);
    }
    if !text.contains('[') && text.contains(char::is_whitespace) {
        return Err(LogLevelError::Spaces);
    }
    for directive in directives(text) {
        check_directive(directive)?;
    }
    EnvFilter::try_new(text)?;
    Ok(())
}

/// The parts between commas, except those within braces.
fn directives(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = text.split(|c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.collect()
}

fn check_directive(directive: &str) -> Result<(), LogLevelError> {
    let (target, level) = match directive.rsplit_once('=') {
        // `[span{field=value}]` has such signs of its own.
        Some((target, level)) if !level.contains([']', '}']) => (Some(target), level),
        _ if directive.contains('[') => return Ok(()),
        _ => (None, directive),
    };
    if !is_level(level) {
        let longer = LEVELS.into_iter().find(|name| level.to_ascii_lowercase().starts_with(name));
        let named = level.to_owned();
        return Err(match (nearest(level, LEVELS).or(longer), target) {
            (Some(meant), _) => LogLevelError::Mistyped { level: named, meant },
            (None, None) => LogLevelError::Module(named),
            (None, Some(_)) => LogLevelError::Level(named),
        });
    }
    let module = target.and_then(|target| target.split(['[', ':']).next()).unwrap_or_default();
    let mistyped = (!module.is_empty() && !MODULES.contains(&module))
        .then(|| nearest(module, MODULES))
        .flatten();
    match mistyped {
        Some(meant) => Err(LogLevelError::UnknownModule { module: module.to_owned(), meant }),
        None => Ok(()),
    }
}

fn is_level(text: &str) -> bool {
    LEVELS.contains(&text.to_ascii_lowercase().as_str())
        || matches!(text, "0" | "1" | "2" | "3" | "4" | "5")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_level_is_refused_with_the_one_that_was_meant() {
        for good in [
            "info",
            "WARN",
            "off",
            "3",
            "info,sentinel_policy=debug",
            "warn,sentinel_http::routes=trace,hyper=info",
            "info,[check{tenant=a}]=debug",
            "sentinel[check]=debug,warn",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", "empty"),
            ("  ", "empty"),
            ("warn, sentinel_http=trace", "without spaces"),
            ("inof", "did you mean `info`"),
            ("debgu", "did you mean `debug`"),
            ("warning", "did you mean `warn`"),
            ("verbose", "write `verbose=debug`"),
            ("sentinel", "write `sentinel=debug`"),
            ("info,sentinel_policy=debgu", "did you mean `debug`"),
            ("info,sentinal_policy=debug", "did you mean `sentinel_policy`"),
            ("info,sentinel_polcy::memo=debug", "did you mean `sentinel_policy`"),
            ("info,", "`` is not a level"),
            ("info;debug", "not a level"),
            ("a=b=c", "`c` is not a level"),
        ] {
            let refused = check(bad).unwrap_err().to_string();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }

    #[test]
    fn every_crate_that_may_log_is_known() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in std::fs::read_dir(crates).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let module = match name.as_str() {
                "sentinel" => name,
                "testkit" => continue,
                other => format!("sentinel_{}", other.replace('-', "_")),
            };
            assert!(MODULES.contains(&module.as_str()), "{module}");
        }
    }
}
