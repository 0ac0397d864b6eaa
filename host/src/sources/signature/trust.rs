//! Whom to believe: authorities, what they revoked, and who may sign what.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::{ASN1Time, FromDer};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::log::source::SignatureParams;

/// Most authorities between a message's certificate and one that stands for itself.
const MAX_CHAIN: usize = 8;

/// Why a file of authorities, revocations or rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} cannot be used: {reason}")]
pub(crate) struct TrustError {
    path: PathBuf,
    reason: String,
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// It leads to none of our authorities.
    Stranger(String),
    /// It, or one above it, is not in date.
    OutOfDate(String),
    /// It, or one above it, was revoked.
    Revoked(String),
}

/// A certificate as lists of revocations name it: its issuer's name, DER, and its serial number.
type Serial = (Vec<u8>, Vec<u8>);

/// Authorities and revocations, as the files had them.
#[derive(Debug)]
pub(super) struct Trust {
    /// Certificates of authorities, DER.
    authorities: Vec<Vec<u8>>,
    revoked: HashSet<Serial>,
    policy: BTreeMap<String, Vec<String>>,
    /// When the files were written.
    written: Vec<Option<SystemTime>>,
}

impl Trust {
    /// Reads the files.
    pub(super) fn read(params: &SignatureParams) -> Result<Self, TrustError> {
        let written = written(params);
        let authorities = authorities(&params.ca)?;
        let revoked = match &params.crl {
            Some(path) => revocations(path, &authorities)?,
            None => HashSet::new(),
        };
        let policy = match &params.policy {
            Some(path) => serde_json::from_slice(&bytes(path)?).map_err(|error| {
                unusable(path, format!("it is no JSON object of topics and names: {error}"))
            })?,
            None => BTreeMap::new(),
        };
        Ok(Self { authorities, revoked, policy, written })
    }

    /// Whether a file was written since.
    pub(super) fn is_outdated(&self, params: &SignatureParams) -> bool {
        self.written != written(params)
    }

    /// The names that may sign a topic; none if no rule names it.
    pub(super) fn signers(&self, topic: &str) -> Option<&[String]> {
        self.policy.get(topic).map(Vec::as_slice)
    }

    /// Follows a certificate up to one of our authorities that stands for itself.
    pub(super) fn check(&self, certificate: &[u8], now_s: i64) -> Result<(), Distrust> {
        let now = ASN1Time::from_timestamp(now_s)
            .map_err(|_| Distrust::OutOfDate("the clock is out of range".to_owned()))?;
        let mut subject = parse(certificate)
            .ok_or_else(|| Distrust::Stranger("it is no certificate".to_owned()))?;
        for _ in 0..MAX_CHAIN {
            let name = subject.subject().to_string();
            if !subject.validity().is_valid_at(now) {
                return Err(Distrust::OutOfDate(format!("{name:?} is not in date")));
            }
            let serial = (subject.issuer().as_raw().to_vec(), subject.raw_serial().to_vec());
            if self.revoked.contains(&serial) {
                return Err(Distrust::Revoked(format!("{name:?} was revoked")));
            }
            let is_ours = self.authorities.iter().any(|known| *known == subject.as_raw());
            if is_ours && subject.subject() == subject.issuer() {
                return Ok(());
            }
            let issuer = self.authorities.iter().filter_map(|known| parse(known)).find(|issuer| {
                issuer.subject() == subject.issuer()
                    && may_issue(issuer)
                    && subject.verify_signature(Some(issuer.public_key())).is_ok()
            });
            subject = issuer.ok_or_else(|| {
                Distrust::Stranger(format!("{name:?} was issued by none of our authorities"))
            })?;
        }
        Err(Distrust::Stranger(format!("more than {MAX_CHAIN} authorities stand above it")))
    }
}

/// Whether a certificate is one of an authority; those of the first version cannot say so.
fn may_issue(certificate: &X509Certificate<'_>) -> bool {
    let signs = certificate.key_usage().ok().flatten().is_none_or(|it| it.value.key_cert_sign());
    let is_first_version = certificate.version().0 == 0;
    signs && (certificate.is_ca() || is_first_version)
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

fn authorities(path: &Path) -> Result<Vec<Vec<u8>>, TrustError> {
    let text = bytes(path)?;
    let blocks = Pem::iter_from_buffer(&text).collect::<Result<Vec<_>, _>>();
    let blocks = blocks.map_err(|error| unusable(path, error.to_string()))?;
    let found: Vec<_> = blocks
        .into_iter()
        .filter(|block| block.label == "CERTIFICATE")
        .map(|it| it.contents)
        .collect();
    if found.is_empty() || found.iter().any(|der| parse(der).is_none()) {
        return Err(unusable(path, "it holds no certificates in PEM".to_owned()));
    }
    Ok(found)
}

/// The certificates that a list, PEM or DER, says were revoked by one of the authorities.
fn revocations(path: &Path, authorities: &[Vec<u8>]) -> Result<HashSet<Serial>, TrustError> {
    let text = bytes(path)?;
    let lists = match Pem::iter_from_buffer(&text).collect::<Result<Vec<_>, _>>() {
        Ok(blocks) if !blocks.is_empty() => {
            blocks.into_iter().filter(|it| it.label == "X509 CRL").map(|it| it.contents).collect()
        }
        _ => vec![text],
    };
    if lists.is_empty() {
        return Err(unusable(path, "it holds no list of revocations".to_owned()));
    }
    let mut revoked = HashSet::new();
    for der in &lists {
        let (_, list) = CertificateRevocationList::from_der(der)
            .map_err(|_| unusable(path, "it is no list of revocations".to_owned()))?;
        let signed = authorities.iter().filter_map(|known| parse(known)).any(|authority| {
            authority.subject() == list.issuer()
                && list.verify_signature(authority.public_key()).is_ok()
        });
        if !signed {
            let reason =
                format!("it is signed by none of our authorities, but by {}", list.issuer());
            return Err(unusable(path, reason));
        }
        // An old list still tells who was revoked then: better than none, and than refusing everybody.
        if list.next_update().is_some_and(|next| next < ASN1Time::now()) {
            tracing::warn!(?path, "the list of revocations is out of date");
        }
        let issuer = list.issuer().as_raw().to_vec();
        let serials = list.iter_revoked_certificates();
        revoked.extend(serials.map(|it| (issuer.clone(), it.raw_serial().to_vec())));
    }
    Ok(revoked)
}

fn written(params: &SignatureParams) -> Vec<Option<SystemTime>> {
    let files = [Some(&params.ca), params.crl.as_ref(), params.policy.as_ref()];
    let written = |path: &PathBuf| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    files.into_iter().flatten().map(written).collect()
}

fn bytes(path: &Path) -> Result<Vec<u8>, TrustError> {
    std::fs::read(path).map_err(|error| unusable(path, error.to_string()))
}

fn unusable(path: &Path, reason: String) -> TrustError {
    TrustError { path: path.to_owned(), reason }
}
