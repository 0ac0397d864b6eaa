//! The export of a running host, passed on as it arrives.

use std::io::{BufRead, BufReader, Read, Write};

use serde::Deserialize;

use super::{Client, ClientError};
use crate::render::html::encode;
use crate::store::{EXPORT_LINE_MOST, Exported};

/// What tells whether an export is one, and whole: the first line, and the numbers of rows.
#[derive(Deserialize)]
struct Line {
    statmill_export: Option<u32>,
    rows: Option<Vec<u64>>,
}

impl Client {
    /// Writes the rows and positions of `idents`, of all stats if there are none, to `out`.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; what was written until then is not whole.
    pub(crate) fn export(
        &self,
        idents: &[String],
        out: &mut dyn Write,
    ) -> Result<Exported, ClientError> {
        let query: Vec<_> = idents.iter().map(|ident| format!("stat={}", encode(ident))).collect();
        let path = match &query[..] {
            [] => "/api/_export".to_owned(),
            query => format!("/api/_export?{}", query.join("&")),
        };
        // It comes for as long as there are rows.
        let mut response = self.call(&path, None)?;
        let mut input = BufReader::new(response.body_mut().as_reader());
        let mut exported = Exported::default();
        let (mut text, mut lines, mut expected) = (Vec::new(), 0_u64, 0_u64);
        loop {
            text.clear();
            let read = input.by_ref().take(EXPORT_LINE_MOST).read_until(b'\n', &mut text);
            if read.map_err(|error| self.broken(&path, &error.into()))? == 0 {
                break;
            }
            let line: Line = serde_json::from_slice(&text)
                .map_err(|error| self.not_understood(&path, &error.to_string()))?;
            if lines == 0 && line.statmill_export.is_none() {
                return Err(self.not_understood(&path, "it is no export"));
            }
            match line.rows {
                Some(rows) => {
                    exported.stats += 1;
                    expected += rows.iter().sum::<u64>();
                }
                None => exported.rows += u64::from(lines > 0),
            }
            lines += 1;
            out.write_all(&text)?;
        }
        if lines == 0 || exported.rows != expected {
            let reason = format!("the export was cut off after {} rows", exported.rows);
            return Err(self.not_understood(&path, &reason));
        }
        out.flush()?;
        Ok(exported)
    }
}
