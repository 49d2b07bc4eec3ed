//! Addresses of keys.

use sentinel_signers::{KeyAddress, SignersError};

#[test]
fn the_usual_forms_are_taken() {
    for address in [
        "vault://vault.example:8200/transit/sentinel",
        "vault://vault.example/teams/a/transit/sentinel?version=3&namespace=admin/team-a",
        "vault://127.0.0.1:8200/transit/sentinel",
        "vault://[::1]:8200/transit/sentinel",
        "awskms:///alias/sentinel",
        "awskms:///1234abcd-12ab-34cd-56ef-1234567890ab",
        "awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "awskms://vpce-1.kms.eu-west-1.vpce.amazonaws.com/alias/sentinel",
        "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "gcpkms://projects/example.com:p/locations/l/keyRings/r/cryptoKeys/k/versions/12",
    ] {
        let parsed = KeyAddress::parse(address).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.to_string(), address);
    }
}

#[test]
fn whatever_does_not_name_one_key_is_refused_with_a_fix() {
    for address in [
        "",
        "/etc/key.pem",
        "https://vault.example/transit/key",
        "vault://vault.example",
        "vault://vault.example/key",
        "vault:///transit/key",
        "vault://vault.example/transit/../sys/key",
        "vault://vault.example/transit/key%2f",
        "vault://vault.example/transit//key",
        "vault://vault.example/transit/key?version=0",
        "vault://vault.example/transit/key?token=x",
        "vault://user:hunter2@vault.example/transit/key",
        "awskms://",
        "awskms:///",
        "awskms:///alias/a b",
        "awskms:///arn:aws",
        "awskms://a?b/alias/x",
        "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/latest",
        "gcpkms://projects/p/locations/l/keyRings/../cryptoKeys/k/cryptoKeyVersions/1",
        "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1?endpoint=a/b",
    ] {
        let error = KeyAddress::parse(address).expect_err(address);
        assert!(matches!(error, SignersError::Address { .. }), "{address}: {error}");
        assert!(error.fix().is_some_and(|fix| fix.contains("vault://")), "{address}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
