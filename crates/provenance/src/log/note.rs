//! Signed notes (C2SP signed-note).

use std::fmt;

use thiserror::Error;

use crate::encoding::{from_padded_base64, to_base64};
use crate::log::note_key::{KeyKind, KeyName, NoteSigner, VerifierKey};
use crate::signer::SignError;

/// Longest note in bytes.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// Most signatures on a note.
pub const MAX_NOTE_SIGNATURES: usize = 64;

/// Bytes of the key's ID before each signature.
const ID_BYTES: usize = 4;

/// What a cosignature signs before the checkpoint, the time being put in.
const COSIGNATURE_HEADER: &str = "cosignature/v1\ntime ";

/// Why something is not a note, or not one that a key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteError {
    /// It is too long.
    #[error("note has {actual} bytes, the limit is {MAX_NOTE_BYTES}")]
    TooLarge {
        /// Its length in bytes.
        actual: usize,
    },
    /// It is not a text, an empty line and signature lines.
    #[error("not a signed note")]
    Malformed,
    /// One of its signature lines is not sound.
    #[error("malformed signature line in a note")]
    SignatureLine,
    /// It has too many signatures.
    #[error("note has more than {MAX_NOTE_SIGNATURES} signatures")]
    TooManySignatures,
    /// It has two signatures by one key.
    #[error("note is signed twice by one key")]
    SignedTwice,
    /// The key did not sign it.
    #[error("note is not signed by the key")]
    Unsigned,
    /// A signature in the key's name does not hold.
    #[error("signature of the note does not match")]
    Mismatch,
}

/// A text and the signatures below it, which have not necessarily been verified.
///
/// ```
/// use sentinel_provenance::log::{Ed25519NoteSigner, Note, NoteSigner as _};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signer = Ed25519NoteSigner::generate("log.example")?;
/// let note = Note::sign("one line\n".to_owned(), &signer)?;
/// let received = Note::parse(&note.to_string())?;
/// received.verify(signer.verifier_key())?;
/// assert_eq!(received.text(), "one line\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A line of a note: who is said to have signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    id: [u8; ID_BYTES],
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The ID of the key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == *key.name() && self.id == key.id()
    }

    /// Reads lines that each end with a newline, such as the response of a witness.
    ///
    /// # Errors
    /// [`NoteError`] when there is none, or one is malformed.
    pub fn parse_lines(lines: &str) -> Result<Vec<Self>, NoteError> {
        if lines.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge { actual: lines.len() });
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::SignatureLine)?;
        let mut signatures: Vec<Self> = Vec::new();
        for line in lines.split('\n') {
            let signature = Self::parse(line).ok_or(NoteError::SignatureLine)?;
            push(&mut signatures, signature)?;
        }
        Ok(signatures)
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
        let name = KeyName::new(name).ok()?;
        let bytes = from_padded_base64(signature)?;
        let (id, bytes) = bytes.split_first_chunk::<ID_BYTES>()?;
        if bytes.is_empty() {
            return None;
        }
        Some(Self { name, id: *id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_slice(), &self.bytes].concat();
        writeln!(f, "— {} {}", self.name, to_base64(&bytes))
    }
}

impl Note {
    /// Signs a text that ends in a newline and has no control characters.
    ///
    /// # Errors
    /// [`SignError`] when it is anything else, or the signer fails.
    pub fn sign(text: String, signer: &dyn NoteSigner) -> Result<Self, SignError> {
        if !is_text(&text) || text.len() > MAX_NOTE_BYTES / 2 {
            return Err(SignError::Signer("text cannot be that of a note".to_owned()));
        }
        let key = signer.verifier_key();
        let bytes = signer.sign(text.as_bytes())?.to_vec();
        let signature = NoteSignature { name: key.name().clone(), id: key.id(), bytes };
        Ok(Self { text, signatures: vec![signature] })
    }

    /// Takes a signature that was made elsewhere over exactly `text`, once it is verified.
    ///
    /// # Errors
    /// [`SignError`] when the text cannot be a note's, or `key` did not make the signature.
    pub fn from_signature(
        text: String,
        signature: [u8; 64],
        key: &VerifierKey,
    ) -> Result<Self, SignError> {
        if !is_text(&text) || text.len() > MAX_NOTE_BYTES / 2 {
            return Err(SignError::Signer("text cannot be that of a note".to_owned()));
        }
        let bytes = signature.to_vec();
        let signature = NoteSignature { name: key.name().clone(), id: key.id(), bytes };
        let note = Self { text, signatures: vec![signature] };
        note.verify(key).map_err(|error| SignError::Signer(error.to_string()))?;
        Ok(note)
    }

    /// Reads a note. What parses is written back byte for byte by `Display`.
    ///
    /// # Errors
    /// [`NoteError`] says what is wrong, without repeating the note.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge { actual: note.len() });
        }
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, rest) = note.split_at_checked(end + 1).ok_or(NoteError::Malformed)?;
        let lines = rest.strip_prefix('\n').ok_or(NoteError::Malformed)?;
        if !is_text(text) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { text: text.to_owned(), signatures: NoteSignature::parse_lines(lines)? })
    }

    /// Verifies that `key` signed the text. A key of a witness signs a time too,
    /// see [`Self::verify_cosignature`].
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] or [`NoteError::Mismatch`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        if key.kind() != KeyKind::Ed25519 {
            return Err(NoteError::Unsigned);
        }
        let signature = self.signature_by(key).ok_or(NoteError::Unsigned)?;
        if key.verifies(self.text.as_bytes(), &signature.bytes) {
            Ok(())
        } else {
            Err(NoteError::Mismatch)
        }
    }

    /// Verifies that a witness signed the text, and gives the time it states, in
    /// seconds since 1970.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] or [`NoteError::Mismatch`].
    pub fn verify_cosignature(&self, key: &VerifierKey) -> Result<u64, NoteError> {
        if key.kind() != KeyKind::CosignatureV1 {
            return Err(NoteError::Unsigned);
        }
        let signature = self.signature_by(key).ok_or(NoteError::Unsigned)?;
        let (time, bytes) = signature.bytes.split_first_chunk::<8>().ok_or(NoteError::Mismatch)?;
        let time = u64::from_be_bytes(*time);
        let message = format!("{COSIGNATURE_HEADER}{time}\n{}", self.text);
        if key.verifies(message.as_bytes(), bytes) { Ok(time) } else { Err(NoteError::Mismatch) }
    }

    /// Adds signatures by keys that have not signed yet, and leaves the others.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`] or [`NoteError::TooLarge`] when the note
    /// would not be read back.
    pub fn with_signatures(&self, added: Vec<NoteSignature>) -> Result<Self, NoteError> {
        let mut note = self.clone();
        for signature in added {
            match push(&mut note.signatures, signature) {
                Ok(()) | Err(NoteError::SignedTwice) => {}
                Err(error) => return Err(error),
            }
        }
        let actual = note.to_string().len();
        if actual > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge { actual });
        }
        Ok(note)
    }

    /// What is signed: lines, each with its newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order of the note.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The signature in the name of `key`, not verified.
    #[must_use]
    pub fn signature_by(&self, key: &VerifierKey) -> Option<&NoteSignature> {
        self.signatures.iter().find(|signature| signature.is_by(key))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(f))
    }
}

fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.contains(|c: char| c < ' ' && c != '\n')
}

/// One signature for each key, or two verifiers could look at different ones.
fn push(signatures: &mut Vec<NoteSignature>, added: NoteSignature) -> Result<(), NoteError> {
    if signatures.iter().any(|known| known.name == added.name && known.id == added.id) {
        return Err(NoteError::SignedTwice);
    }
    if signatures.len() >= MAX_NOTE_SIGNATURES {
        return Err(NoteError::TooManySignatures);
    }
    signatures.push(added);
    Ok(())
}
