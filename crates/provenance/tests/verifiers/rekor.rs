//! Rekor v2, the public log whose formats ours are: what it published is read and verified by us.

use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{Checkpoint, TrustedLog, TrustedRoot, verify_inclusion};
use sigstore_verify::trust_root::{
    SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT,
};

/// Entry 4,026,478 of Sigstore's staging log, from a bundle that sigstore-python's tests verify.
const INDEX: u64 = 4_026_478;
const LEAF_HASH: &str = "/kBlWg+WiUfeYwx3jA9ovVLGikDFol/Bo6Tt1qs8L5k=";
const PROOF: [&str; 13] = [
    "y9eH/Cl/glEuLMKtwV0bgZ+a1P/AjoPyvu/iUeanaIM=",
    "nrNQ2vb5JM2No6zELZt05onTYzqQOwDUcs24jAa6lzk=",
    "HfZO2uZZbokwORUD/0dMRpBEouo33Ab2nQ2N6r4v688=",
    "grMdYn8tE73JvJU8Ixk4hl8/fKu06hUdgpPNsuAfb7o=",
    "i1gQ61xe3f9MP09y2e9Z4n5ZnDiFuqQmTK/u7Gji4Ws=",
    "TkPA4Mv4plM3c6oejf5r+PqVxfMPk0x+QAjumzaswsU=",
    "wGq46RfkA9tCYZ2CCOOMGQttyhHIqMksBAl+soDBgRw=",
    "WPWftR+8Qjv3qiIBp48n3PiweejcpuHjokhaSIJaUOo=",
    "kgGccNZjCDNKiQBUSPorZcTXoy9T0OIygUNX2V9tF7s=",
    "7vMeapYqpjDZc8itt3uF6dGxL5qkbFsQ18jBiblH/5g=",
    "ma8nVjhpJ0JmgSzaxhxP7bvHXtiZC6nJXIBmDV8kNAI=",
    "CZJWJtYZFYWwC+DsEiCMnWled/ED66viI0Wz/L+9vxk=",
    "Y8Q9QaTpqRAlSoWnNwyYGDerVLL1f6b8osmbDYEF6og=",
];
const CHECKPOINT: &str = concat!(
    "log2025-alpha3.rekor.sigstage.dev\n",
    "4026479\n",
    "5iaX4xK6PMnp4ZFTP4iywMcwLgaTjzgRTkrTOUFIrfY=\n",
    "\n",
    "— log2025-alpha3.rekor.sigstage.dev 09OnDHwVrKeXjBYQ4NJ5EoENdtpBwZcV3X8n+cAZFIk+8LBPKEpZcKqoN2CfjGw0zlQwt+U2pLt5UyYEFv+STPHPmQg=\n",
    "— witness.stagemole.eu Z/euoAAAAABqBM+21mV7JbHwWmLP20ZSpNWneHMkITOPopt+Vj1MoJSILqOIPpx93pbRfA0U+Eq5IiJjEUhG1JwGhPCJEUT5yDcFDg==\n",
    "— staging.witness.transparency.goog/ring-any-bells LhqNyQAAAABqBM+2Ob9EtpF9h6IUMXc/LTRkkXiNAgbbohBxHekby1oASdDtPLkgZLmBHH73DF25f2L8xGgp/qVwoZK5thKXc6XnCw==\n",
    "— witness.navigli.sunlight.geomys.org o+AP4gAAAABqBM+2NoYlK4g3lkC5QltDB6f2F9U8yF6+8kXKjLKHAYvSDJ3u5dZufSU3bz+AtJMdOoMixoFJBkQ397WY/mE0i9tlCg==\n",
);

fn digest(base64: &str) -> Sha256Digest {
    serde_json::from_value(base64.into()).unwrap()
}

#[test]
fn trusted_roots_of_sigstore_are_read() {
    let origins = |json: &str| {
        let root = TrustedRoot::parse(json.as_bytes()).unwrap();
        root.logs.iter().map(|log| log.origin().to_owned()).collect::<Vec<_>>()
    };
    // The logs of Rekor v1 have other keys and are left out.
    assert_eq!(origins(SIGSTORE_PRODUCTION_TRUSTED_ROOT), ["log2025-1.rekor.sigstore.dev"]);
    let staging = origins(SIGSTORE_STAGING_TRUSTED_ROOT);
    assert!(staging.contains(&"log2025-alpha3.rekor.sigstage.dev".to_owned()), "{staging:?}");
}

#[test]
fn an_entry_of_rekor_is_included_under_its_checkpoint() {
    let root = TrustedRoot::parse(SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes()).unwrap();
    let is_it = |log: &&_| TrustedLog::origin(log) == "log2025-alpha3.rekor.sigstage.dev";
    let log = root.logs.iter().find(is_it).unwrap();
    let signed = Checkpoint::open(CHECKPOINT, log.key()).unwrap();
    assert_eq!((signed.size(), signed.note().signatures().len()), (4_026_479, 4));
    assert_eq!(signed.note().to_string(), CHECKPOINT);
    let verify = |index| {
        let (leaf, proof) = (digest(LEAF_HASH), PROOF.map(digest));
        verify_inclusion(index, signed.size(), &leaf, &proof, &signed.root())
    };
    assert_eq!(verify(INDEX), Ok(()));
    assert!(verify(INDEX - 1).is_err());
}
