//! Where the HTTP server is, as settings say it.

use std::net::SocketAddr;

/// An address to listen on.
pub(super) fn listened(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let numeric = numeric.as_deref().unwrap_or(text);
    numeric.parse().map_err(|_| {
        format!("{text:?} is no address: write an IP address and a port, such as 127.0.0.1:8040")
    })
}

/// What addresses that clients are told begin with.
pub(super) fn base(text: &str) -> Result<String, String> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:/[]".contains(&byte);
    let is_good = scheme.is_some_and(|scheme| {
        let rest = &text[scheme.len()..];
        !rest.is_empty() && !rest.starts_with(['/', ':']) && rest.bytes().all(allowed)
    });
    if is_good {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    let example = "https://stats.example.org";
    Err(format!("{text:?} is not what addresses begin with: write one such as {example}"))
}
