//! Makes of documents that fail the smallest that still do, in the form of the corpus.

use super::corpus;
use super::oracle::judge;
use super::wanted::Wanted;
use crate::fuzz::drop_while_failing;

/// Tells what fails, of which document, and for which pointers.
pub(super) fn smallest(wanted: &Wanted, documents: &[Vec<u8>]) -> String {
    let alone = documents.iter().find(|text| failure(wanted, &[(*text).clone()]).is_some());
    let mut documents = alone.map_or_else(|| documents.to_vec(), |alone| vec![alone.clone()]);
    // What fails only after other documents may still do so after fewer of them.
    drop_while_failing(&mut documents, |documents| failure(wanted, documents).is_some());
    for number in 0..documents.len() {
        let mut text = documents[number].clone();
        drop_while_failing(&mut text, |text| {
            let mut documents = documents.clone();
            documents[number] = text.to_vec();
            failure(wanted, &documents).is_some()
        });
        documents[number] = text;
    }
    let mut wanted = wanted.clone();
    for others in [false, true] {
        let mut fields = if others { &wanted.others } else { &wanted.some }.clone();
        let with = |fields: &[_]| {
            let mut wanted = wanted.clone();
            *(if others { &mut wanted.others } else { &mut wanted.some }) = fields.to_vec();
            wanted
        };
        drop_while_failing(&mut fields, |fields| failure(&with(fields), &documents).is_some());
        wanted = with(&fields);
    }
    let what = failure(&wanted, &documents).unwrap_or_else(|| "it does not fail again".to_owned());
    let lines: Vec<String> = documents.iter().map(|text| corpus::line(text)).collect();
    format!(
        "{what}\n  wanted {:?} and {:?}\n  mapping {:?}\n  limits {:?}\nfor the corpus:\n{}\n",
        wanted.some,
        wanted.others,
        wanted.mapping,
        wanted.limits,
        lines.join("\n")
    )
}

fn failure(wanted: &Wanted, documents: &[Vec<u8>]) -> Option<String> {
    match std::panic::catch_unwind(|| judge(wanted, documents)) {
        Ok(judged) => judged.err(),
        Err(panic) => Some(crate::fuzz::panic_text(&*panic)),
    }
}
