//! Private keys in PEM: whatever a file says, reading it ends soon, and what is read is a key that
//! signs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::Signer as _;
use sentinel_signers::{HeldKey, KeyAddress, decrypt_private_pem};

fuzz_target!(|bytes: &[u8]| {
    // With the passphrase of the seeds, so that the inside of an encrypted key is reached too.
    for passphrase in [None, Some(b"correct horse".as_slice())] {
        let Ok(pem) = decrypt_private_pem(bytes, passphrase) else { continue };
        let again = decrypt_private_pem(pem.as_bytes(), None).expect("plain PKCS#8 in PEM");
        assert_eq!(*again, *pem);
        if let Some(signer) = HeldKey::from_pkcs8_pem(&pem).and_then(HeldKey::into_signer) {
            let signature = signer.sign(b"message").expect("a key signs");
            signer.public_key().verify(b"message", &signature).expect("its signature");
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(address) = KeyAddress::parse(text)
    {
        assert_eq!(address.to_string(), text);
        assert!(!text.contains('@') && text.split('/').all(|part| part != ".."), "{text}");
    }
});
