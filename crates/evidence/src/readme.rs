//! The text that tells an auditor what the archive is and how to verify it.

use sentinel_provenance::{AgentAction, Bundle, PREDICATE_TYPE, Statement};
use uuid::Uuid;

use crate::layout::{
    About, CHECKPOINTS, CONSISTENCY, DECISIONS, MANIFESTS, REPORT, SUMS, TRUSTED_ROOT, bundle_file,
};

/// One manifest, to show how it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    id: Uuid,
    /// The commitment, as far as the payload can be read.
    digest: Option<String>,
    key: String,
}

impl Example {
    /// The manifest with this bundle; `key` is the file of the key that signed it.
    #[must_use]
    pub fn of(id: Uuid, bundle: &Bundle, key: String) -> Self {
        let statement = Statement::<AgentAction>::parse(bundle.envelope.payload());
        let digest = statement.ok().map(|statement| statement.subject_digest().to_hex());
        Self { id, digest, key }
    }
}

/// The README of an archive.
#[must_use]
pub fn text(about: &About, example: Option<&Example>) -> String {
    let About { tenant, from, to, decisions, manifests, .. } = about;
    let mut text = format!(
        "# Evidence about `{tenant}`\n\n\
         What agents of this tenant asked for and did from {from} up to before {to}:\n\
         {decisions} decisions and {manifests} signed manifests.\n\n\
         | file | |\n|---|---|\n\
         | `{REPORT}` | who did what when, allowed or denied: for people |\n\
         | `{DECISIONS}` | every decision, one JSON object a line, newest first |\n\
         | `{MANIFESTS}` | every manifest, as the server lists it |\n\
         | `bundles/` | the manifests themselves: Sigstore bundles, each with its log entry |\n\
         | `keys/` | the keys that signed them, and any other that ever signed here |\n\
         | `key-events/` | signed and logged statements of what became of those keys |\n\
         | `{TRUSTED_ROOT}` | the keys of the transparency logs |\n\
         | `{CHECKPOINTS}` | the newest state of each log when this was collected |\n\
         | `{CONSISTENCY}` | proofs that these continue every state in the bundles |\n\
         | `{SUMS}` | digests of all these files |\n\n\
         Keys and trusted root came with the archive. Compare them with what you got from the\n\
         operator in another way: a forged archive would have come with forged keys.\n\n\
         ## Nothing was changed on the way\n\n\
         \x20   sha256sum --check {SUMS}\n\n"
    );
    if let Some(Example { id, digest: Some(digest), key }) = example {
        let bundle = bundle_file(*id);
        text.push_str(&format!(
            "## One action, with cosign\n\n\
             cosign 3 needs neither a server of ours nor the network. With the digest that the\n\
             manifest commits to:\n\n\
             \x20   cosign verify-blob-attestation --key {key} \\\n\
             \x20     --trusted-root {TRUSTED_ROOT} --bundle {bundle} \\\n\
             \x20     --type {PREDICATE_TYPE} \\\n\
             \x20     --digest {digest} --digestAlg sha256\n\n\
             `Verified OK` means: the key signed the statement, and exactly this signature is in\n\
             the log, whose checkpoint is signed. The statement is readable with\n\n\
             \x20   jq -r .dsseEnvelope.payload {bundle} | base64 -d | jq\n\n\
             Who has the payload and its salt can also check what the digest commits to: the file\n\
             of the salt's 32 bytes and the payload has that SHA-256, and is given to cosign in\n\
             place of `--digest` and `--digestAlg`.\n\n"
        ));
    }
    text.push_str(
        "## All of it\n\n\
         \x20   sentinel evidence verify ARCHIVE.tar.gz\n\n\
         compares every digest, verifies every bundle, that none is missing, that each belongs to\n\
         its decision, and that the log never contradicts itself. `--key` and `--trusted-root`\n\
         name keys that you trust in place of those in the archive.\n\n\
         `sentinel log audit URL --trusted-root trusted-root.json --bundle bundles/*.json` audits\n\
         the whole log, and that what is here is still in it.\n",
    );
    text
}
