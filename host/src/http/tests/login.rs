//! Reading pages where a token is needed.

use super::{CompleteUntil, Fixture, Reply, users};
use crate::config::Tokens;
use crate::http::HttpOptions;

const PERSON: (&str, &str) = ("Accept", "text/html,application/xhtml+xml");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn guarded() -> Fixture {
    let token = |text: &str| Some(text.to_owned());
    let tokens = Tokens { ingest: token("in"), query: token("ask & read"), admin: token("root") };
    let fixture = Fixture::new(HttpOptions { tokens, ..HttpOptions::default() });
    fixture.catalog.put("secret-name", users(), 1, CompleteUntil::End);
    fixture
}

fn log_in(fixture: &Fixture, token: &str, more: &[(&str, &str)]) -> Reply {
    let body = format!("token={token}&next=%2Fapi%2Fsecret-name.html%3Fuser%3Dann");
    let headers = [&[PERSON, FORM], more].concat();
    fixture.ask("POST", "/login", &headers, body.as_bytes())
}

/// Name and value of the cookie that an answer sets.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn who_gives_the_token_once_reads_on_where_they_wanted_to_go() {
    let fixture = guarded();
    let asked = fixture.ask("GET", "/api/secret-name.html?user=ann", &[PERSON], b"");
    assert_eq!(asked.status, 401);
    assert!(asked.text().contains("value=\"/api/secret-name.html?user=ann\""), "{}", asked.text());

    let reply = log_in(&fixture, "ask+%26+read", &[]);
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("location"), Some("/api/secret-name.html?user=ann"));
    let cookie = cookie(&reply);
    assert!(!cookie.contains("read"));
    let page = fixture.ask("GET", "/", &[PERSON, ("Cookie", &format!("a=b; {cookie}; c"))], b"");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), Some("private, no-cache"));
    assert!(page.text().contains("action=\"/logout\""));
    // What the pages themselves ask for.
    for path in ["/api/secret-name", "/api/_status", "/api/secret-name.svg"] {
        let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
        assert_eq!(fixture.ask("GET", path, &headers, b"").status, 200, "{path}");
    }
    assert_eq!(log_in(&fixture, "root", &[]).status, 303);
}

#[test]
fn the_cookie_reads_and_does_nothing_else() {
    let fixture = guarded();
    let cookie = cookie(&log_in(&fixture, "root", &[]));
    let cookie = ("Cookie", cookie.as_str());
    let json = ("Content-Type", "application/json");
    assert_eq!(fixture.ask("POST", "/ingest/bus", &[cookie, json], b"{}").status, 401);
    assert_eq!(fixture.ask("POST", "/api/_admin/reload", &[cookie, json], b"{}").status, 401);
    assert_eq!(fixture.ask("GET", "/api/_export", &[cookie], b"").status, 401);
    // A page of another site may lead here, and not read what is here.
    let script = [cookie, ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "no-cors")];
    assert_eq!(fixture.ask("GET", "/api/secret-name?callback=f", &script, b"").status, 401);
    let link = [cookie, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    assert_eq!(fixture.ask("GET", "/", &link, b"").status, 200);
    let (name, value) = cookie.1.split_once('=').unwrap();
    for wrong in [format!("{name}="), format!("{name}={value}A"), format!("other={value}")] {
        assert_eq!(fixture.ask("GET", "/", &[("Cookie", &wrong)], b"").status, 401, "{wrong}");
    }
}

#[test]
fn who_may_not_read_is_not_told_what_there_is() {
    let fixture = guarded();
    for path in ["/", "/nothing", "/d/secret-name", "/api/secret-name.html", "/api/secret-nam.html"]
    {
        let page = fixture.ask("GET", path, &[PERSON], b"");
        assert!(page.status == 401 || path == "/nothing" && page.status == 404, "{path}");
        assert!(!page.text().contains("href=\"/api/secret-name"), "{path}: {}", page.text());
        assert!(!page.text().contains("id=\"menu\""), "{path}");
    }
}

#[test]
fn a_wrong_token_is_said_to_be_wrong_and_can_be_given_again() {
    let fixture = guarded();
    for token in ["in", "ask", "", "root2"] {
        let reply = log_in(&fixture, token, &[]);
        assert_eq!(reply.status, 401, "{token}");
        assert!(reply.header("set-cookie").is_none());
        assert!(reply.text().contains("the token is not valid"), "{}", reply.text());
        assert!(reply.text().contains("value=\"/api/secret-name.html?user=ann\""));
    }
    assert_eq!(log_in(&fixture, "root", &[("Sec-Fetch-Site", "cross-site")]).status, 403);
    let json = [("Content-Type", "application/json")];
    assert_eq!(fixture.ask("POST", "/login", &json, b"{}").problem().0, 415);
    assert_eq!(fixture.ask("POST", "/login", &[FORM], b"next=/").problem().0, 400);
    let long = vec![b'a'; crate::http::login::MAX_FORM + 1];
    assert_eq!(fixture.ask("POST", "/login", &[FORM], &long).problem().0, 413);
}

#[test]
fn who_logs_out_is_forgotten() {
    let fixture = guarded();
    let cookie = cookie(&log_in(&fixture, "root", &[]));
    let reply = fixture.ask("POST", "/logout", &[FORM, ("Cookie", &cookie)], b"");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let name = cookie.split('=').next().unwrap();
    let mut set = reply.headers.iter().filter(|(header, _)| header == "set-cookie");
    assert!(set.any(|(_, set)| set.starts_with(name) && set.contains("Max-Age=0")));
}
