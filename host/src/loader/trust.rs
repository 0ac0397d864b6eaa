//! Which files the operator lets in: those on a list of digests, or those that a known key has signed.
//!
//! Nothing is asked where neither is configured. A signature lies beside the library, with `.sig`
//! appended to its name: the 64 bytes that `openssl pkeyutl -sign -rawin` writes with an Ed25519 key.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

/// What stands before the key's own bytes where a public Ed25519 key is written as in certificates
/// (RFC 8410), which is what `openssl pkey -pubout` prints.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
const DIGEST_DIGITS: usize = 64;

/// Which files are let in. By default every file is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Digests of files that are let in whoever signed them.
    pub allow: Vec<Digest>,
    /// Keys whose signature lets a file in.
    pub keys: Vec<TrustedKey>,
}

/// SHA-256 of a library, 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

/// A public Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKey([u8; KEY_BYTES]);

/// The text is no digest or no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not a digest.
    #[error("write the 64 hexadecimal digits that sha256sum prints of a library")]
    Digest,
    /// Not a key.
    #[error(
        "write the line between BEGIN and END that openssl pkey -pubout prints of an Ed25519 key"
    )]
    Key,
}

impl FromStr for Digest {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let fits = text.len() == DIGEST_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(TrustError::Digest) }
    }
}

impl FromStr for TrustedKey {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| TrustError::Key)?;
        let key = bytes.strip_prefix(&SPKI).unwrap_or(&bytes);
        Ok(Self(key.try_into().map_err(|_| TrustError::Key)?))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What lets a file in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing is asked.
    Open,
    /// Its digest is on the list.
    Listed,
    /// A known key has signed it.
    Signed,
}

impl Trust {
    /// Whether anything is asked of a file.
    pub(super) fn asks(&self) -> bool {
        !self.allow.is_empty() || !self.keys.is_empty()
    }

    /// Lets the file at `path`, with these `bytes` and their `digest`, in.
    ///
    /// # Errors
    /// Why nothing does, and the remedy.
    pub(super) fn admit(
        &self,
        path: &Path,
        bytes: &[u8],
        digest: &str,
    ) -> Result<Admission, String> {
        if !self.asks() {
            return Ok(Admission::Open);
        }
        if self.allow.iter().any(|allowed| allowed.0 == digest) {
            return Ok(Admission::Listed);
        }
        if self.keys.is_empty() {
            return Err(format!(
                "its digest is not in vetting.allow: add {digest} if you trust it"
            ));
        }
        let file = signature_file(path);
        let signature = read_signature(&file).map_err(|reason| {
            format!("{reason}: sign it with a key of vetting.trusted_keys, or add {digest} to vetting.allow")
        })?;
        let signed = |key: &TrustedKey| {
            UnparsedPublicKey::new(&ED25519, key.0).verify(bytes, &signature).is_ok()
        };
        if self.keys.iter().any(signed) {
            return Ok(Admission::Signed);
        }
        Err(format!(
            "its signature {} is of no key of vetting.trusted_keys, or of another file: sign it again",
            file.display()
        ))
    }
}

/// Where the signature of the library at `path` lies.
fn signature_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn read_signature(path: &Path) -> Result<[u8; SIGNATURE_BYTES], String> {
    let file = super::vet::open_regular(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("it has no signature {}", path.display()),
        _ => format!("its signature {} cannot be read: {error}", path.display()),
    })?;
    let mut bytes = Vec::new();
    file.take(SIGNATURE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("its signature {} cannot be read: {error}", path.display()))?;
    bytes.try_into().map_err(|_| {
        format!("its signature {} does not have {SIGNATURE_BYTES} bytes", path.display())
    })
}
