//! Signatures of fedmsg's messages: who signed, whether they are who they say, and may say that.
//!
//! Checked are, in this order: a signature and a certificate are there; the certificate leads to one of
//! our authorities, all in date, none revoked; the signature (RSA PKCS#1 v1.5, SHA-1) is that of the
//! message's [canonical form](canonical) without the two; the certificate's name may sign the topic.
//! Files that change are read anew.

mod canonical;
mod trust;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use serde::Deserialize;
use x509_parser::pem::parse_x509_pem;

pub(crate) use self::trust::TrustError;
use self::trust::{Distrust, Trust};
use super::network::Refusal;
use crate::clock::now_us;
use crate::log::source::SignatureParams;

/// Files are looked at so often, and whenever a certificate is not believed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Blanks are taken out before; the last group may be padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Checks messages.
#[derive(Debug)]
pub(super) struct Checker {
    params: SignatureParams,
    trust: Trust,
    looked: Instant,
}

/// What a signed message says of its signature.
#[derive(Deserialize)]
struct Signed {
    topic: Option<serde_json::Value>,
    signature: Option<serde_json::Value>,
    certificate: Option<serde_json::Value>,
    crypto: Option<serde_json::Value>,
}

impl Checker {
    /// A checker by these files.
    pub(super) fn open(params: &SignatureParams) -> Result<Self, TrustError> {
        let trust = Trust::read(params)?;
        Ok(Self { params: params.clone(), trust, looked: Instant::now() })
    }

    /// Whether the message may be believed, which came under the name of `topic`.
    pub(super) fn check(&mut self, topic: &str, text: &[u8]) -> Result<(), Refusal> {
        self.check_at(now_us().div_euclid(1_000_000), topic, text)
    }

    fn check_at(&mut self, now_s: i64, topic: &str, text: &[u8]) -> Result<(), Refusal> {
        let refuse = |reason, why: &str| Refusal::new(reason, format!("topic {topic:?}: {why}"));
        let signed: Signed = serde_json::from_slice(text)
            .map_err(|_| refuse("malformed", "it is no JSON object"))?;
        if signed.topic.as_ref().and_then(|it| it.as_str()) != Some(topic) {
            return Err(refuse("topic_mismatch", "the message says another topic"));
        }
        if let Some(crypto) = &signed.crypto
            && crypto != "x509"
        {
            return Err(refuse("crypto", &format!("it is signed by {crypto}, not x509")));
        }
        let (Some(signature), Some(certificate)) =
            (text_of(&signed.signature), text_of(&signed.certificate))
        else {
            return Err(refuse("unsigned", "it has no signature and certificate"));
        };
        let certificate = decoded(certificate)
            .ok_or_else(|| refuse("certificate", "its certificate is no base64"))?;
        let (_, pem) = parse_x509_pem(&certificate)
            .map_err(|_| refuse("certificate", "its certificate is no PEM"))?;
        self.look(LOOK_EVERY);
        let mut verdict = self.trust.check(&pem.contents, now_s);
        if verdict.is_err() && self.look(Duration::ZERO) {
            verdict = self.trust.check(&pem.contents, now_s);
        }
        verdict.map_err(|distrust| match distrust {
            Distrust::Stranger(why) => refuse("certificate", &why),
            Distrust::OutOfDate(why) => refuse("out_of_date", &why),
            Distrust::Revoked(why) => refuse("revoked", &why),
        })?;
        let certificate = pem
            .parse_x509()
            .map_err(|_| refuse("certificate", "its certificate cannot be read"))?;
        let form = canonical::canonical(text, &["signature", "certificate"])
            .map_err(|why| refuse("malformed", &why.to_string()))?;
        let signature =
            decoded(signature).ok_or_else(|| refuse("signature", "its signature is no base64"))?;
        let key = &certificate.public_key().subject_public_key.data;
        UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            .verify(&form, &signature)
            .map_err(|_| refuse("signature", "its signature is not that of its content"))?;
        let name = certificate.subject().iter_common_name().next();
        let name = name.and_then(|name| name.as_str().ok()).unwrap_or_default();
        match self.trust.signers(topic) {
            Some(signers) if !signers.iter().any(|signer| signer == name) => {
                Err(refuse("policy", &format!("{name:?} may not sign this topic")))
            }
            None if self.params.nitpicky => {
                Err(refuse("policy", "no rule says who may sign this topic"))
            }
            _ => Ok(()),
        }
    }

    /// Reads files that were written since, if the last look is so long ago; answers whether it did.
    fn look(&mut self, after: Duration) -> bool {
        if self.looked.elapsed() < after {
            return false;
        }
        self.looked = Instant::now();
        if !self.trust.is_outdated(&self.params) {
            return false;
        }
        match Trust::read(&self.params) {
            Ok(trust) => {
                tracing::info!("authorities, revocations and rules were read anew");
                self.trust = trust;
                true
            }
            Err(error) => {
                tracing::warn!("what was read before still holds: {error}");
                false
            }
        }
    }
}

fn text_of(member: &Option<serde_json::Value>) -> Option<&str> {
    member.as_ref().and_then(|value| value.as_str())
}

/// Bytes written as base64 in lines.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let blankless: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(blankless).ok()
}

#[cfg(test)]
mod tests;
