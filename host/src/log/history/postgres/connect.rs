//! A connection to datanommer's database, and which form its tables have.

use std::time::Duration;

use postgres::config::SslMode;
use postgres::{Client, Config, IsolationLevel, NoTls};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::rows::{self, Form};
use super::{Answer, Question, Trouble};
use crate::log::source::PostgresOptions;

/// An open connection.
pub(super) struct Connection {
    client: Client,
    form: Form,
}

impl Connection {
    pub(super) fn open(options: &PostgresOptions) -> Result<Self, Trouble> {
        let mut config = Config::new();
        config
            .host(&options.host)
            .port(options.port)
            .user(&options.user)
            .dbname(&options.database)
            .application_name("statmill")
            .connect_timeout(options.timeout)
            .tcp_user_timeout(options.timeout)
            .keepalives_idle(Duration::from_secs(60))
            .options(&format!(
                "-c default_transaction_read_only=on -c statement_timeout={} -c timezone=UTC",
                options.timeout.as_millis().max(1)
            ));
        if let Some(password) = &options.password {
            config.password(password);
        }
        let connected = match options.tls {
            false => config.ssl_mode(SslMode::Disable).connect(NoTls),
            true => {
                let tls = ClientConfig::with_platform_verifier()
                    .map_err(|error| Trouble::Failed(format!("no certificates: {error}")))?;
                config.ssl_mode(SslMode::Require).connect(MakeRustlsConnect::new(tls))
            }
        };
        let mut client = connected.map_err(|error| failed(&error))?;
        let form = form(&mut client)?;
        Ok(Self { client, form })
    }

    pub(super) fn ask(&mut self, question: &Question) -> Result<Answer, Trouble> {
        let mut transaction = self
            .client
            .build_transaction()
            .read_only(true)
            .isolation_level(IsolationLevel::RepeatableRead)
            .start()
            .map_err(|error| failed(&error))?;
        let answer = rows::read(&mut transaction, self.form, question);
        let answer = answer.map_err(|error| failed(&error))?;
        transaction.commit().map_err(|error| failed(&error))?;
        Ok(answer)
    }
}

/// Which of datanommer's tables there are.
fn form(client: &mut Client) -> Result<Form, Trouble> {
    let sql = "select column_name::text from information_schema.columns \
        where table_name = 'messages' and table_schema = any (current_schemas(false))";
    let columns = client.query(sql, &[]).map_err(|error| failed(&error))?;
    let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    let has = |name: &str| columns.iter().any(|column| column == name);
    match (has("agent_name") || has("username"), has("_msg")) {
        (true, true) => Ok(Form::Old),
        (true, false) if has("msg") => Ok(Form::New { agent: has("agent_name") }),
        _ => Err(Trouble::Refused(
            "it has no table \"messages\" as datanommer makes it; name another database".to_owned(),
        )),
    }
}

/// What went wrong, in the server's words; a wrong password or name is not worth asking again soon.
fn failed(error: &postgres::Error) -> Trouble {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return Trouble::Failed(format!("{error}{}", cause.unwrap_or_default()));
    };
    let reason = format!("{} ({})", said.message(), said.code().code());
    // 28 = login, 3D = no such database, 42 = no such table, or no right to read it.
    match &said.code().code()[..2] {
        "28" | "3D" | "42" => Trouble::Refused(reason),
        _ => Trouble::Failed(reason),
    }
}
