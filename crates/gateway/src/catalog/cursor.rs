//! Cursors of the gateway's own lists: a position in one version of one list of one principal,
//! authenticated, so that it says nothing of the upstreams and means nothing to another client.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::digest::{Key, KeyInit};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::fetch::Kind;
use super::shown::Digest;

const FORMAT: u8 = 1;
/// Format, kind and position.
const HEAD: usize = 6;
const VERSION: usize = 16;
const TAG: usize = 16;

/// What a cursor belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) key: &'a [u8; 32],
    pub(super) principal: &'a str,
    pub(super) kind: Kind,
}

/// Why a cursor is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was not given out to this principal for this list.
    Foreign,
    /// The list has changed since.
    Outdated,
}

impl Scope<'_> {
    pub(super) fn seal(self, version: &Digest, position: u32) -> String {
        let mut bytes = Vec::with_capacity(HEAD + VERSION + TAG);
        bytes.extend([FORMAT, self.number()]);
        bytes.extend(position.to_be_bytes());
        bytes.extend(version.iter().take(VERSION));
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend(tag.iter().take(TAG));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether the cursor was given out to this principal for this list, whatever its version.
    pub(super) fn accept(self, cursor: &str) -> Result<Accepted, Refused> {
        // Longer text is not decoded at all.
        if cursor.len() > 2 * (HEAD + VERSION + TAG) {
            return Err(Refused::Foreign);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Refused::Foreign)?;
        if bytes.len() != HEAD + VERSION + TAG {
            return Err(Refused::Foreign);
        }
        let (signed, tag) = bytes.split_at(HEAD + VERSION);
        self.mac(signed).verify_truncated_left(tag).map_err(|_| Refused::Foreign)?;
        let (head, version) = signed.split_at(HEAD);
        match head {
            [FORMAT, kind, position @ ..] if *kind == self.number() => {
                let position = position.try_into().map_err(|_| Refused::Foreign)?;
                let position = u32::from_be_bytes(position);
                Ok(Accepted { position, version: version.to_vec() })
            }
            _ => Err(Refused::Foreign),
        }
    }

    fn mac(self, signed: &[u8]) -> Hmac<Sha256> {
        // HMAC itself fills a shorter key up with zeros; this way there is no length to refuse.
        let mut block = Key::<Hmac<Sha256>>::default();
        block.iter_mut().zip(self.key).for_each(|(to, from)| *to = *from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block);
        mac.update(b"sentinel gateway cursor\0");
        mac.update(signed);
        mac.update(self.principal.as_bytes());
        mac
    }

    const fn number(self) -> u8 {
        match self.kind {
            Kind::Tools => 1,
            Kind::Prompts => 2,
            Kind::Resources => 3,
            Kind::Templates => 4,
        }
    }
}

/// A cursor that the gateway gave out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    position: u32,
    version: Vec<u8>,
}

impl Accepted {
    /// The position, while the list is the one that the cursor was given out for.
    pub(super) fn position(&self, version: &Digest) -> Result<usize, Refused> {
        if version.get(..VERSION) == Some(self.version.as_slice()) {
            usize::try_from(self.position).map_err(|_| Refused::Foreign)
        } else {
            Err(Refused::Outdated)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn scope(principal: &str, kind: Kind) -> Scope<'_> {
        Scope { key: &KEY, principal, kind }
    }

    proptest! {
        #[test]
        fn leads_back_to_the_position(position: u32, version: Digest, principal in "\\PC{0,40}") {
            let scope = scope(&principal, Kind::Tools);
            let accepted = scope.accept(&scope.seal(&version, position)).unwrap();
            prop_assert_eq!(accepted.position(&version), Ok(position as usize));
        }

        #[test]
        fn a_changed_cursor_is_foreign(position: u32, version: Digest, at in 0_usize..51, to: u8) {
            let scope = scope("alice", Kind::Tools);
            let cursor = scope.seal(&version, position);
            let mut changed = BASE64_URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            let at = at % changed.len();
            changed[at] ^= to;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            prop_assume!(changed != cursor);
            prop_assert_eq!(scope.accept(&changed), Err(Refused::Foreign));
        }

        #[test]
        fn foreign_text_is_refused(cursor in "\\PC{0,80}") {
            prop_assert_eq!(scope("alice", Kind::Tools).accept(&cursor), Err(Refused::Foreign));
        }
    }

    #[test]
    fn is_bound_to_principal_list_key_and_version() {
        let cursor = scope("alice", Kind::Tools).seal(&[1; 32], 5);
        assert_eq!(scope("bob", Kind::Tools).accept(&cursor), Err(Refused::Foreign));
        assert_eq!(scope("alice", Kind::Prompts).accept(&cursor), Err(Refused::Foreign));
        let other = Scope { key: &[8; 32], ..scope("alice", Kind::Tools) };
        assert_eq!(other.accept(&cursor), Err(Refused::Foreign));
        let accepted = scope("alice", Kind::Tools).accept(&cursor).unwrap();
        assert_eq!(accepted.position(&[1; 32]), Ok(5));
        assert_eq!(accepted.position(&[2; 32]), Err(Refused::Outdated));
    }
}
