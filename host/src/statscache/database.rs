//! The database of an original statscache, in SQLite or PostgreSQL: its tables, and their rows as texts.

use std::path::Path;

use postgres::config::SslMode;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, Config, NoTls};
use rusqlite::OpenFlags;
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tables::Names;

/// Why the database cannot be read. No message shows the address: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum DatabaseError {
    /// The address is of neither.
    #[error("{reason}; give sqlite:PATH or postgres://user@host/database")]
    Address { reason: String },
    /// SQLite failed.
    #[error("cannot read the SQLite database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// TLS has nothing to trust.
    #[error("no certificates to trust: {0}")]
    Certificates(rustls::Error),
    /// PostgreSQL failed.
    #[error("cannot read the PostgreSQL database: {}", words(.0))]
    Postgres(#[from] postgres::Error),
}

/// An open database, of which nothing is changed.
pub struct Connection {
    kind: Kind,
    names: Names,
}

enum Kind {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Client>),
}

/// Takes a row's cells; the error is why the table is refused.
type TakeRow<'a> = dyn FnMut(&[Option<String>]) -> Result<(), String> + 'a;

impl Connection {
    /// Opens `sqlite:PATH` or `postgres://…`, also as SQLAlchemy writes them (`sqlite:///PATH`,
    /// `postgresql+psycopg2://…`).
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn open(address: &str, names: &Names) -> Result<Self, DatabaseError> {
        let (scheme, rest) = address.split_once(':').unwrap_or((address, ""));
        let kind = match scheme.split('+').next().unwrap_or_default() {
            "sqlite" => sqlite(rest.strip_prefix("///").unwrap_or(rest))?,
            "postgres" | "postgresql" => postgres(rest)?,
            scheme => {
                let reason = format!("{scheme:?} is no scheme of a statscache's database");
                return Err(DatabaseError::Address { reason });
            }
        };
        Ok(Self { kind, names: names.clone() })
    }

    /// The tables of models, with their columns, in the order of their names.
    pub(super) fn tables(&mut self) -> Result<Vec<(String, Vec<String>)>, DatabaseError> {
        let mut tables: Vec<(String, Vec<String>)> = Vec::new();
        let mut add = |table: String, column: String| match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(column),
            _ => tables.push((table, vec![column])),
        };
        match &mut self.kind {
            Kind::Sqlite(database) => {
                let sql = "SELECT t.name, c.name FROM sqlite_master t \
                    JOIN pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid";
                let mut statement = database.prepare(sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    add(row.get(0)?, row.get(1)?);
                }
            }
            Kind::Postgres(client) => {
                let sql = "SELECT table_name::text, column_name::text \
                    FROM information_schema.columns WHERE table_schema = current_schema() \
                    ORDER BY table_name::text, ordinal_position";
                for row in client.query(sql, &[])? {
                    add(row.get(0), row.get(1));
                }
            }
        }
        tables.retain(|(table, _)| self.names.is_model(table));
        Ok(tables)
    }

    /// The newest timestamp of a table.
    pub(super) fn newest(&mut self, table: &str) -> Result<Option<String>, DatabaseError> {
        let sql = format!("SELECT CAST(max(timestamp) AS text) FROM {}", quoted(table));
        match &mut self.kind {
            Kind::Sqlite(database) => Ok(database.query_row(&sql, [], |row| row.get(0))?),
            Kind::Postgres(client) => Ok(client.query_one(&sql, &[])?.get(0)),
        }
    }

    /// Hands each row of a table to `take`, and ends at its first error, which is the answer.
    pub(super) fn each_row(
        &mut self,
        table: &str,
        columns: &[String],
        take: &mut TakeRow<'_>,
    ) -> Result<Result<(), String>, DatabaseError> {
        let texts = columns.iter().map(|column| format!("CAST({} AS text)", quoted(column)));
        let texts = texts.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {texts} FROM {}", quoted(table));
        let mut cells = vec![None; columns.len()];
        match &mut self.kind {
            Kind::Sqlite(database) => {
                let mut statement = database.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    for (number, cell) in cells.iter_mut().enumerate() {
                        *cell = row.get(number)?;
                    }
                    if let Err(reason) = take(&cells) {
                        return Ok(Err(reason));
                    }
                }
            }
            Kind::Postgres(client) => {
                let mut rows = client.query_raw(&sql, Vec::<i32>::new())?;
                while let Some(row) = rows.next()? {
                    for (number, cell) in cells.iter_mut().enumerate() {
                        *cell = row.try_get(number)?;
                    }
                    if let Err(reason) = take(&cells) {
                        return Ok(Err(reason));
                    }
                }
            }
        }
        Ok(Ok(()))
    }
}

fn sqlite(path: &str) -> Result<Kind, DatabaseError> {
    if !Path::new(path).is_file() {
        return Err(DatabaseError::Address { reason: format!("there is no file {path:?}") });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = rusqlite::Connection::open_with_flags(path, flags)?;
    // One transaction: a statscache that still runs changes nothing under our eyes.
    database.execute_batch("BEGIN")?;
    Ok(Kind::Sqlite(database))
}

fn postgres(rest: &str) -> Result<Kind, DatabaseError> {
    let mut config: Config = format!("postgres:{rest}").parse()?;
    let mut client = match config.get_ssl_mode() {
        SslMode::Require => config.connect(MakeRustlsConnect::new(trusted()?))?,
        _ => config.ssl_mode(SslMode::Disable).connect(NoTls)?,
    };
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    Ok(Kind::Postgres(Box::new(client)))
}

/// The certificates that this machine trusts.
fn trusted() -> Result<ClientConfig, DatabaseError> {
    // Where both of rustls' providers are built in, it must be told which one to take.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig::with_platform_verifier().map_err(DatabaseError::Certificates)
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What went wrong, in the server's words.
fn words(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_something_else_is_refused_with_what_to_give() {
        for address in ["mysql://host/statscache", "sqlite:/no/such/file", "statscache"] {
            let said = Connection::open(address, &Names::default()).err().map(|it| it.to_string());
            assert!(said.is_some_and(|said| said.contains("sqlite:PATH")), "{address}");
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("user"), "\"user\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
