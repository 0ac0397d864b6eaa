//! The secrets callers must know.

/// Secrets that callers must know; without one anybody who reaches the server may do it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// To send messages.
    pub ingest: Option<String>,
    /// To read answers.
    pub query: Option<String>,
    /// To do everything, also what neither of the others allows.
    pub admin: Option<String>,
}

impl Tokens {
    /// Names of those that are not set.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let all = [("ingest", &self.ingest), ("query", &self.query), ("admin", &self.admin)];
        all.iter().filter(|(_, token)| token.is_none()).map(|(name, _)| *name).collect()
    }

    /// The one a client shows to read answers.
    #[must_use]
    pub fn for_query(&self) -> Option<&String> {
        self.query.as_ref().or(self.admin.as_ref())
    }

    /// The one a client shows to do what only an admin may; where a host has none for that, it takes
    /// the one for queries.
    #[must_use]
    pub fn for_admin(&self) -> Option<&String> {
        self.admin.as_ref().or(self.query.as_ref())
    }
}

// Not derived: secrets do not belong into logs.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("ingest", &self.ingest.is_some())
            .field("query", &self.query.is_some())
            .field("admin", &self.admin.is_some())
            .finish()
    }
}
