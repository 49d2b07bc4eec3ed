//! `sentinel evidence verify`.

use std::path::PathBuf;

use sentinel_evidence::{Check, Trusting};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::files;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The archive.
    archive: PathBuf,
    /// A key that signs manifests, PEM, in place of those in the archive; may be given several
    /// times.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Trusted root, in place of that in the archive.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Who must have cosigned each bundle's checkpoint, as C2SP tlog-policy has it.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let trusting = Trusting {
        keys: args.key.iter().map(|path| files::public_key(path)).collect::<Outcome<_>>()?,
        root: args.trusted_root.as_deref().map(files::trusted_root).transpose()?,
        witnesses: args.witness_policy.as_deref().map(files::witness_policy).transpose()?,
    };
    let checks = sentinel_evidence::verify(&args.archive, trusting);
    let checks = checks.map_err(|error| Failure::new(error.to_string()))?;
    let sound = checks.iter().all(Check::is_sound);
    show(&checks, args, sound, json)?;
    if sound { Ok(()) } else { Err(Failure::silent()) }
}

fn show(checks: &[Check], args: &Args, sound: bool, json: bool) -> Outcome {
    if json {
        let check = |check: &Check| -> Value {
            json!({
                "name": check.name,
                "passed": check.is_sound(),
                "detail": if check.is_sound() { check.passed.as_str() } else { "" },
                "problems": check.problems,
                "problems_omitted": check.more,
            })
        };
        let checks: Vec<_> = checks.iter().map(check).collect();
        return output::json(&json!({ "verified": sound, "checks": checks }));
    }
    output::line(&if sound {
        output::styled(output::GREEN, "verified")
    } else {
        output::styled(output::RED, "not verified")
    })?;
    for Check { name, passed, problems, more } in checks {
        let Some((first, rest)) = problems.split_first() else {
            let mark = output::styled(output::GREEN, "✓");
            output::line(&format!("  {mark} {name:<10}  {passed}"))?;
            continue;
        };
        let mark = output::styled(output::RED, "✗");
        output::line(&format!("  {mark} {name:<10}  {}", output::printable(first)))?;
        for problem in rest {
            output::line(&format!("    {:<10}  {}", "", output::printable(problem)))?;
        }
        if *more > 0 {
            output::line(&format!("    {:<10}  and {more} more", ""))?;
        }
    }
    if sound && (args.key.is_empty() || args.trusted_root.is_none()) {
        output::line("")?;
        output::line(
            "Keys came from the archive itself; compare them with what the operator published, or \
             give yours with --key and --trusted-root.",
        )?;
    }
    Ok(())
}
