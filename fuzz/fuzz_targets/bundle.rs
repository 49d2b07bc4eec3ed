//! Bundles: any archive, any manifest, any signatures and any key is read or refused, and what is
//! read is within the bundle and is written and read again the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sentinel_policy_bundles::{
    Algorithm, Bundle, BundleLimits, SigningKey, Trust, VerificationKey,
};

const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";
const LIMITS: BundleLimits =
    BundleLimits { max_compressed: 1 << 20, max_bytes: 1 << 20, max_entries: 64, max_path: 256 };

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust {
    keys: VerificationKey::read(SECRET, Some(Algorithm::Hs256)).unwrap(),
    scope: None,
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 4 {
        // Without compression, or the fuzzer would have to find its checksums.
        0 => archive(&stored(rest)),
        1 => archive(rest),
        2 => archive(&stored(&tar(&[("p.rego", b"package p"), (".signatures.json", rest)]))),
        _ => {
            archive(&stored(&tar(&[("p.rego", b"package p"), (".manifest", rest)])));
            let _ = VerificationKey::read(rest, None);
            let _ = SigningKey::read(rest, None);
        }
    }
});

fn archive(bytes: &[u8]) {
    let _ = Bundle::open(bytes, &LIMITS, Some(&TRUST));
    let Ok(bundle) = Bundle::open(bytes, &LIMITS, None) else { return };
    for (path, _) in bundle.files() {
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
    }
    let _ = bundle.source(None);
    let written = bundle.write(None).unwrap();
    let again = Bundle::open(&written, &BundleLimits::default(), None).unwrap();
    assert!(again.files().eq(bundle.files()));
    assert_eq!(again.write(None).unwrap(), written);
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *contents).unwrap();
    }
    tar.into_inner().unwrap()
}

fn stored(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
