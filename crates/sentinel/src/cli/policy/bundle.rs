//! `sentinel policy bundle`: policy and data as one file, as OPA reads and writes it.

use std::path::{Path, PathBuf};

use sentinel_policy::{LoadError, Vetter};
use sentinel_policy_analysis::Vetted;
use sentinel_policy_bundles::supply::{replace, sha256};
use sentinel_policy_bundles::{
    Algorithm, Bundle, BundleLimits, Signer, Signing, SigningKey, SupplyError, Trust,
    VerificationKey,
};
use serde_json::{Value, json};

use super::source::{Version, directory};
use crate::cli::findings;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes a bundle of a policy directory; equal files give equal bytes.
    Build {
        /// Directory with `*.rego` and data. Its tests (`*_test.rego`) stay out.
        dir: PathBuf,
        /// Where the bundle goes.
        #[arg(long, short, value_name = "FILE", default_value = "bundle.tar.gz")]
        output: PathBuf,
        /// The revision that the manifest states.
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        revision: Option<String>,
        #[command(flatten)]
        signing: SigningArgs,
        /// Builds it even when the server would refuse it.
        #[arg(long)]
        unvetted: bool,
        /// The version is written into the manifest, as OPA needs it, too.
        #[command(flatten)]
        version: Version,
    },
    /// Signs a bundle, in place of the signature it may have.
    Sign {
        bundle: PathBuf,
        /// Where the signed bundle goes; by default in place of the other.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Shows what is in a bundle, and who says to have signed it.
    Inspect { bundle: PathBuf },
    /// Verifies the signature of a bundle and vets its policy, as the server does.
    Verify {
        bundle: PathBuf,
        /// Public keys in PEM, of which one must have signed; for HS256 and its like the secret.
        #[arg(long, value_name = "FILE")]
        verification_key: PathBuf,
        /// Algorithm of the keys; by default the usual one of their type.
        #[arg(long, value_name = "NAME")]
        algorithm: Option<Algorithm>,
        /// The scope that the signature must state.
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        version: Version,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct SigningArgs {
    /// Private key in PEM; for HS256 and its like the secret.
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Algorithm of the key: RS256 (384, 512), PS256 (…), ES256 (…), EdDSA or HS256 (…); by default
    /// the usual one of its type.
    #[arg(long, value_name = "NAME", requires = "signing_key")]
    algorithm: Option<Algorithm>,
    /// Name of the key, for verifiers with several.
    #[arg(long, value_name = "NAME", requires = "signing_key")]
    key_id: Option<String>,
    /// Scope that the signature states.
    #[arg(long, requires = "signing_key")]
    scope: Option<String>,
}

pub(crate) fn run(command: &Command, json: bool) -> Outcome {
    match command {
        Command::Build { dir, output, revision, signing, unvetted, version } => {
            directory(dir)?;
            to_a_file(Some(output))?;
            let bundle = Bundle::from_directory(dir, &version.limits(), revision.as_deref());
            let vetted = bundle.and_then(|bundle| {
                if !unvetted {
                    vet(&bundle, *version)?;
                }
                Ok(bundle)
            });
            match vetted {
                Ok(bundle) => write(&bundle, output, signing, json),
                Err(error) => findings::refused(&error, json),
            }
        }
        Command::Sign { bundle, output, signing } => {
            to_a_file(output.as_deref())?;
            if signing.signing_key.is_none() {
                return Err(Failure::usage("`--signing-key FILE` is missing"));
            }
            match Bundle::inspect(&read(bundle)?, &BundleLimits::default()) {
                Ok(opened) => write(&opened, output.as_ref().unwrap_or(bundle), signing, json),
                Err(error) => findings::refused(&error.into(), json),
            }
        }
        Command::Inspect { bundle } => {
            match Bundle::inspect(&read(bundle)?, &BundleLimits::default()) {
                Ok(opened) => inspect(&opened, json),
                Err(error) => findings::refused(&error.into(), json),
            }
        }
        Command::Verify { bundle, verification_key, algorithm, scope, version } => {
            let keys = VerificationKey::read(&read(verification_key)?, *algorithm)
                .or_fail(|| format!("cannot use `{}`", verification_key.display()))?;
            let trust = Trust { keys, scope: scope.clone() };
            verify(bundle, &trust, *version, json)
        }
    }
}

/// A bundle takes its place in one step, which a stream cannot.
fn to_a_file(output: Option<&Path>) -> Outcome {
    if output == Some(Path::new("-")) {
        return Err(Failure::usage("a bundle goes to a file, not to standard output"));
    }
    Ok(())
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    if path.is_dir() {
        let message = format!("`{}` is a directory", path.display());
        return Err(Failure::usage(message)
            .help("give a bundle; `sentinel policy bundle build DIR` makes one"));
    }
    std::fs::read(path).or_fail(|| format!("cannot read `{}`", path.display()))
}

fn vet(bundle: &Bundle, version: Version) -> Result<Vetted, SupplyError> {
    let vetter = Vetter::own().map_err(|error| LoadError::VettingFailed(error.to_string()))?;
    let source = bundle.source(None)?;
    Ok(vetter.vet_source(if version.v0_compatible { source.v0_compatible() } else { source })?)
}

/// Vets the policy in a bundle, whether or not a known signer made it.
pub(super) fn vet_unverified(
    path: &Path,
    version: Version,
) -> Outcome<Result<Vetted, SupplyError>> {
    let opened = Bundle::inspect(&read(path)?, &BundleLimits::default());
    Ok(opened.map_err(SupplyError::from).and_then(|bundle| vet(&bundle, version)))
}

fn write(bundle: &Bundle, output: &Path, args: &SigningArgs, json: bool) -> Outcome {
    let key = args.signing_key.as_ref().map(|path| {
        SigningKey::read(&read(path)?, args.algorithm)
            .or_fail(|| format!("cannot use `{}`", path.display()))
    });
    let key = key.transpose()?;
    let signing = key.as_ref().map(|key| Signing {
        key,
        key_id: args.key_id.as_deref(),
        scope: args.scope.as_deref(),
    });
    let bytes = bundle.write(signing.as_ref()).or_fail(|| "cannot make the bundle".to_owned())?;
    let failed = || format!("cannot write `{}`", output.display());
    replace(output, &bytes).or_fail(failed)?;
    let signed = key.map(|key| key.algorithm().name());
    let hash = sha256(&bytes);
    if json {
        return output::json(&json!({
            "bundle": output,
            "bytes": bytes.len(),
            "sha256": hash,
            "revision": bundle.manifest().revision,
            "signed": signed,
        }));
    }
    let revision = bundle.manifest().revision.as_deref().unwrap_or("(of its contents)");
    output::line(&format!(
        "{}  {} bytes  revision {}  {}",
        output.display(),
        bytes.len(),
        output::printable(revision),
        signed.map_or("not signed".to_owned(), |algorithm| format!("signed {algorithm}")),
    ))?;
    output::line(&format!("sha256 {hash}"))
}

fn signer_as_json(signer: &Signer) -> Value {
    json!({
        "algorithm": signer.algorithm.name(),
        "key_id": signer.key_id,
        "scope": signer.scope,
        "verified": signer.verified,
    })
}

fn signer_as_text(signer: Option<&Signer>) -> String {
    let Some(signer) = signer else { return "not signed".to_owned() };
    let part = |name: &str, value: &Option<String>| {
        value.as_ref().map_or(String::new(), |value| format!(", {name} {value}"))
    };
    format!(
        "{}{}{}, {}",
        signer.algorithm,
        part("key", &signer.key_id),
        part("scope", &signer.scope),
        if signer.verified { "verified" } else { "not verified" },
    )
}

fn inspect(bundle: &Bundle, json: bool) -> Outcome {
    let source = bundle.source(None).or_fail(|| "the bundle cannot be used".to_owned())?;
    let manifest = bundle.manifest();
    if json {
        let files: Vec<_> =
            bundle.files().map(|(path, text)| json!({"path": path, "bytes": text.len()})).collect();
        return output::json(&json!({
            "revision": source.revision(),
            "roots": manifest.roots,
            "rego_version": manifest.rego_version,
            "metadata": manifest.metadata,
            "digest": source.digest(),
            "signature": bundle.signer().map(signer_as_json),
            "files": files,
        }));
    }
    let roots = manifest.roots.as_ref().map_or_else(|| "all".to_owned(), |roots| roots.join(", "));
    output::fields(&[
        ("revision", source.revision().to_string()),
        ("roots", if roots.is_empty() { "all".to_owned() } else { roots }),
        ("signature", signer_as_text(bundle.signer())),
    ])?;
    let mut table = output::Table::new(&["file", "bytes"]);
    for (path, text) in bundle.files() {
        table.row(vec![path.to_owned(), text.len().to_string()]);
    }
    table.print("no files")
}

fn verify(path: &Path, trust: &Trust, version: Version, json: bool) -> Outcome {
    let opened = Bundle::open(&read(path)?, &BundleLimits::default(), Some(trust));
    let vetted =
        opened.map_err(SupplyError::from).and_then(|bundle| Ok((vet(&bundle, version)?, bundle)));
    let (vetted, bundle) = match vetted {
        Ok(vetted) => vetted,
        Err(error) => return findings::refused(&error, json),
    };
    let revision = vetted.source().revision();
    if json {
        return output::json(&json!({
            "revision": revision,
            "digest": vetted.source().digest(),
            "signature": bundle.signer().map(signer_as_json),
            "findings": findings::as_json(vetted.warnings()),
        }));
    }
    findings::show(vetted.warnings())?;
    let signer = signer_as_text(bundle.signer());
    output::line(&format!("verified  {}  revision {revision}  {signer}", path.display()))
}
