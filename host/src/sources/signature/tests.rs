//! Messages that fedmsg 1.1.7 has signed, and its verdicts on them.
//!
//! `bodhi-app01`, `revoked-app01` and `expired-app01` have certificates of the authority in `ca.crt`,
//! `stranger` one of another authority, in the name of `bodhi-app01`.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const GOOD: &str = include_str!("tests/good.json");
const REVOKED: &str = include_str!("tests/revoked.json");
const EXPIRED: &str = include_str!("tests/expired.json");
const STRANGER: &str = include_str!("tests/stranger.json");
const CA: &str = include_str!("tests/ca.crt");
const CRL: &str = include_str!("tests/crl.pem");

const TOPIC: &str = "org.fedoraproject.prod.bodhi.update.comment";
/// In January 2027.
const NOW_S: i64 = 1_800_000_000;

struct Fixture {
    folder: TempDir,
    params: SignatureParams,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let params = SignatureParams {
            ca: file("ca.crt", CA),
            crl: Some(file("crl.pem", CRL)),
            policy: None,
            nitpicky: false,
        };
        Self { folder, params }
    }

    fn policy(mut self, rules: &Value) -> Self {
        let path = self.folder.path().join("policy.json");
        std::fs::write(&path, rules.to_string()).unwrap();
        self.params.policy = Some(path);
        self
    }

    fn nitpicky(mut self) -> Self {
        self.params.nitpicky = true;
        self
    }

    fn verdict(&self, text: &str) -> Result<(), &'static str> {
        let mut checker = Checker::open(&self.params).unwrap();
        checker.check_at(NOW_S, TOPIC, text.as_bytes()).map_err(|refusal| refusal.reason)
    }
}

/// The message with a member changed.
fn with(text: &str, member: &str, value: Value) -> String {
    let mut message: Value = serde_json::from_str(text).unwrap();
    message[member] = value;
    message.to_string()
}

#[test]
fn a_message_that_fedmsg_has_signed_is_believed() {
    assert_eq!(Fixture::new().verdict(GOOD), Ok(()));
}

#[test]
fn blanks_the_order_of_members_and_the_lines_of_base64_are_not_signed() {
    let message: Value = serde_json::from_str(GOOD).unwrap();
    let mut members: Vec<_> = message.as_object().unwrap().iter().collect();
    members.reverse();
    let members: Vec<_> = members
        .into_iter()
        .filter(|(name, _)| *name != "msg")
        .map(|(name, value)| match value.as_str().filter(|_| name == "signature") {
            Some(text) => format!("{name:?} : {}", json!(text.replace('\n', ""))),
            None => format!("{name:?} : {value}"),
        })
        .collect();
    // The body as it stands: its numbers do not survive being read.
    let from = GOOD.find("\"msg\":").unwrap();
    let end = GOOD.find(",\"msg_id\"").unwrap();
    let text = format!("{{ {},\n {} }}", members.join(" ,"), &GOOD[from..end]);
    assert_eq!(Fixture::new().verdict(&text), Ok(()));
}

#[test]
fn whatever_is_changed_is_noticed() {
    let fixture = Fixture::new();
    for (member, value) in [
        ("i", json!(8)),
        ("timestamp", json!(1_500_000_000.0)),
        ("msg_id", json!("2017-other")),
        ("username", json!("root")),
        ("added", json!(1)),
    ] {
        let forged = GOOD.replacen('{', &format!("{{\"{member}\":{value},"), 1);
        // The last of equal members counts, so the forged one must come last where there is another.
        let forged = match GOOD.contains(&format!("\"{member}\":")) {
            true => format!("{},\"{member}\":{value}}}", &GOOD[..GOOD.len() - 1]),
            false => forged,
        };
        assert_eq!(fixture.verdict(&forged), Err("signature"), "{member}");
    }
    assert_eq!(fixture.verdict(&GOOD.replace("1.5,", "1.25,")), Err("signature"));
}

#[test]
fn certificates_that_fedmsg_does_not_believe_are_not_believed() {
    let fixture = Fixture::new();
    assert_eq!(fixture.verdict(REVOKED), Err("revoked"));
    assert_eq!(fixture.verdict(EXPIRED), Err("out_of_date"));
    assert_eq!(fixture.verdict(STRANGER), Err("certificate"));
    let other = |text: &str| with(GOOD, "certificate", json!(BASE64.encode(text)));
    assert_eq!(fixture.verdict(&other(CA)), Err("signature"));
    assert_eq!(fixture.verdict(&other("no PEM")), Err("certificate"));
    assert_eq!(fixture.verdict(&with(GOOD, "certificate", json!("%"))), Err("certificate"));
}

#[test]
fn without_a_list_of_revocations_nothing_is_revoked() {
    let mut fixture = Fixture::new();
    fixture.params.crl = None;
    assert_eq!(fixture.verdict(REVOKED), Ok(()));
}

#[test]
fn what_is_not_signed_by_x509_is_refused() {
    let fixture = Fixture::new();
    let without = |member: &str| with(GOOD, member, Value::Null);
    assert_eq!(fixture.verdict(&without("signature")), Err("unsigned"));
    assert_eq!(fixture.verdict(&without("certificate")), Err("unsigned"));
    assert_eq!(fixture.verdict(&with(GOOD, "signature", json!(5))), Err("unsigned"));
    assert_eq!(fixture.verdict(&with(GOOD, "signature", json!("%%%"))), Err("signature"));
    assert_eq!(fixture.verdict(&with(GOOD, "signature", json!("AAAA"))), Err("signature"));
    assert_eq!(fixture.verdict(&with(GOOD, "crypto", json!("gpg"))), Err("crypto"));
    assert_eq!(fixture.verdict(&with(GOOD, "topic", json!("another"))), Err("topic_mismatch"));
    assert_eq!(fixture.verdict(&without("topic")), Err("topic_mismatch"));
}

#[test]
fn a_rule_says_who_may_sign_a_topic() {
    let rule = |names: &[&str]| Fixture::new().policy(&json!({TOPIC: names}));
    assert_eq!(rule(&["other", "bodhi-app01"]).verdict(GOOD), Ok(()));
    assert_eq!(rule(&["other"]).verdict(GOOD), Err("policy"));
    assert_eq!(rule(&[]).verdict(GOOD), Err("policy"));
}

#[test]
fn a_topic_without_a_rule_may_be_signed_by_everyone_unless_rules_are_strict() {
    let other = || Fixture::new().policy(&json!({"another.topic": ["x"]}));
    assert_eq!(other().verdict(GOOD), Ok(()));
    assert_eq!(other().nitpicky().verdict(GOOD), Err("policy"));
    assert_eq!(Fixture::new().nitpicky().verdict(GOOD), Err("policy"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let opened = |change: fn(&Path, &mut SignatureParams)| {
        let mut fixture = Fixture::new();
        change(fixture.folder.path(), &mut fixture.params);
        Checker::open(&fixture.params).unwrap_err().to_string()
    };
    assert!(opened(|dir, params| params.ca = dir.join("none")).contains("none"));
    assert!(
        opened(|_, params| params.ca = params.crl.clone().unwrap()).contains("certificates in PEM")
    );
    assert!(opened(|_, params| params.crl = Some(params.ca.clone())).contains("revocations"));
    let odd = opened(|dir, params| {
        std::fs::write(dir.join("odd.json"), "[1]").unwrap();
        params.policy = Some(dir.join("odd.json"));
    });
    assert!(odd.contains("odd.json"), "{odd}");
}

#[test]
fn who_is_revoked_later_is_refused_once_the_file_says_so() {
    let mut fixture = Fixture::new();
    let crl = fixture.params.crl.take();
    let mut checker = Checker::open(&fixture.params).unwrap();
    assert!(checker.check_at(NOW_S, TOPIC, REVOKED.as_bytes()).is_ok());
    checker.params.crl = crl;
    checker.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
    let refused = checker.check_at(NOW_S, TOPIC, REVOKED.as_bytes()).unwrap_err();
    assert_eq!(refused.reason, "revoked");
}
