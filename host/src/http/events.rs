//! `GET /api/events` and `GET /api/{ident}/events`: what changes, as server-sent events.
//!
//! A stream begins with one `update` for each stat, or, with `Last-Event-ID`, for each that has changed
//! since; a place that is not known (the host was started again) is answered by a `reset` first. Then
//! there is one for each stat after each of its commits, or one for several of them if they come faster
//! than `events_every` or the client reads slower. A client that leaves events lying longer than
//! `stall_time` is told so and let go.

mod hub;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::hub::Change;
pub(super) use self::hub::Hub;
use super::headers::pairs;
use super::problem::Problem;
use super::rows::find_plain;
use super::{Answer, App};
use crate::clock::now_us;
use crate::query::params::{self, flag};
use crate::query::{self, ChangedTimes, CompleteUntil, Query, StatState, StatView, UtcTime};
use crate::render::json;

/// After how long clients try again when a stream has ended.
const RETRY: Duration = Duration::from_secs(3);
/// What `rows` may be, in words.
pub(super) const ROWS_ALLOWED: &str = "`1` or `0`";

/// Of all stats, or of those named by `stat`.
pub(super) async fn all(
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    request: HeaderMap,
) -> Answer {
    let mut wanted = Vec::new();
    for (name, ident) in pairs(raw.as_deref()) {
        if name != "stat" {
            return Err(Problem::param(&name, "is not a parameter of events", "`stat`"));
        }
        wanted.push(find_plain(&app, &ident)?.ident);
    }
    let wanted = if wanted.is_empty() { Wanted::All } else { Wanted::Some(wanted) };
    open(&app, wanted, None, &request)
}

/// Of one stat; with `rows=1` also the rows that a query answers.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    request: HeaderMap,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    let found = find_plain(&app, &ident)?;
    let (given, asked): (Vec<_>, Vec<_>) =
        pairs(raw.as_deref()).into_iter().partition(|(name, _)| name == "rows");
    let with_rows = match given.last() {
        None => false,
        Some((_, value)) => flag(value).ok_or_else(|| {
            Problem::param("rows", &format!("{value:?} is neither"), ROWS_ALLOWED)
        })?,
    };
    if !with_rows {
        if let Some((name, _)) = asked.first() {
            let allowed = "`rows=1`, and with it the parameters of the statistic's rows";
            return Err(Problem::param(name, "has no meaning without rows", allowed));
        }
        return open(&app, Wanted::Some(vec![found.ident]), None, &request);
    }
    // What is wrong with the question is told now, and not by every event.
    let asked = Arc::new(asked);
    let (first, view) = (Arc::clone(&asked), found.view);
    app.blocking(move |app| rows(app, &first, &view).map(drop)).await??;
    open(&app, Wanted::Some(vec![found.ident]), Some(asked), &request)
}

/// The names and values of a query.
type Asked = Arc<Vec<(String, String)>>;

enum Wanted {
    All,
    Some(Vec<String>),
}

impl Wanted {
    fn wants(&self, ident: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(idents) => idents.iter().any(|wanted| wanted == ident),
        }
    }
}

fn open(app: &Arc<App>, wanted: Wanted, asked: Option<Asked>, request: &HeaderMap) -> Answer {
    let place = app.streams.clone().try_acquire_owned().map_err(|_| {
        let most = app.options.max_streams;
        Problem::busy(format!("{most} streams of events are open, and no more may be"), 30)
    })?;
    if app.shutdown.is_asked() {
        return Err(Problem::busy("the host is stopping", 5));
    }
    let last = request.get("last-event-id").and_then(|id| id.to_str().ok());
    let feed = Feed::new(app, wanted, asked, last, place);
    let events = stream::unfold(feed, |feed| async {
        let (event, feed) = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let headers = [
        (CACHE_CONTROL, "no-store"),
        // Proxies that collect answers would hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let mut response: Response = Sse::new(events).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().map_err(|_| Problem::internal())?);
    }
    Ok(response)
}

/// What one client is sent.
struct Feed {
    app: Arc<App>,
    wanted: Wanted,
    asked: Option<Asked>,
    news: watch::Receiver<u64>,
    /// Everything up to this change is told or waits.
    told: u64,
    waiting: VecDeque<Change>,
    /// Events that go before those that wait.
    ready: VecDeque<Event>,
    /// What each stat was told to be doing.
    states: HashMap<String, (String, StatState)>,
    /// Before this no further changes are looked at.
    not_before: Instant,
    /// When the client took the last event.
    taken: Option<Instant>,
    ended: bool,
    _place: OwnedSemaphorePermit,
    _open: Open,
}

/// Counts a stream as open.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("statmill_http_event_streams_info").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("statmill_http_event_streams_info").decrement(1.0);
    }
}

impl Feed {
    fn new(
        app: &Arc<App>,
        wanted: Wanted,
        asked: Option<Asked>,
        last: Option<&str>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let mut news = app.hub.news();
        // Before anything is looked at: what comes later is told later.
        let newest = *news.borrow_and_update();
        let known = last.map(|id| app.hub.number(id));
        let mut ready = VecDeque::from([Event::default().retry(RETRY).comment("statmill")]);
        let (mut told, mut waiting) = (newest, VecDeque::new());
        match known {
            Some(Some(number)) => told = number,
            unknown => {
                if unknown.is_some() {
                    let reason =
                        "what changed before is not known any more; everything is told anew";
                    ready.push_back(event("reset", &Reason { reason }));
                }
                let idents = app.catalog.idents().into_iter().filter(|ident| wanted.wants(ident));
                waiting.extend(idents.map(|ident| Change { number: newest, ident, times: None }));
            }
        }
        Self {
            app: Arc::clone(app),
            wanted,
            asked,
            news,
            told,
            waiting,
            ready,
            states: HashMap::new(),
            not_before: Instant::now(),
            taken: None,
            ended: false,
            _place: place,
            _open: Open::new(),
        }
    }

    /// The next event; `None` at the end of the stream. It is asked for when there is room for it, so
    /// a client that does not read is seen by how late that is.
    async fn next(mut self) -> Option<(Event, Self)> {
        if self.ended {
            return None;
        }
        let stall_time = self.app.options.stall_time;
        if self.taken.is_some_and(|taken| taken.elapsed() >= stall_time) {
            return Some((self.end("slow", "events were left lying too long"), self));
        }
        let event = self.event().await;
        self.taken = Some(Instant::now());
        Some((event, self))
    }

    /// The last event.
    fn end(&mut self, why: &'static str, reason: &'static str) -> Event {
        self.ended = true;
        metrics::counter!("statmill_http_event_streams_ended_total", "reason" => why).increment(1);
        tracing::debug!(why, "a stream of events is ended");
        event("end", &Reason { reason })
    }

    async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            if let Some(change) = self.waiting.pop_front() {
                self.tell(change).await;
                continue;
            }
            let shutdown = self.app.shutdown.clone();
            tokio::select! {
                () = shutdown.asked() => return self.end("stopping", "the host is stopping"),
                is_new = self.wait() => if !is_new {
                    return Event::default().comment("");
                },
            }
        }
    }

    /// Waits for changes; `false` if it is time to show that the stream lives.
    async fn wait(&mut self) -> bool {
        let heartbeat = Instant::now() + self.app.options.heartbeat;
        loop {
            let told = self.told;
            let newer = self.news.wait_for(|newest| *newest > told);
            let Ok(newest) = timeout_at(heartbeat, newer).await else { return false };
            let newest = newest.map_or(told, |newest| *newest);
            sleep_until(self.not_before).await;
            self.waiting = self.app.hub.since(told, |ident| self.wanted.wants(ident));
            self.told = self.waiting.back().map_or(newest, |change| change.number.max(newest));
            if !self.waiting.is_empty() {
                self.not_before = Instant::now() + self.app.options.events_every;
                return true;
            }
        }
    }

    /// Makes the events of a change, as things are now.
    async fn tell(&mut self, change: Change) {
        let Some(view) = self.app.catalog.stat(&change.ident) else { return };
        let known = self.states.insert(change.ident.clone(), (view.version.clone(), view.state));
        let (is_same_version, is_same_state) = known.map_or((false, true), |(version, state)| {
            (version == view.version, state == view.state)
        });
        // A place is named once all before it is told.
        let is_last = self.waiting.front().is_none_or(|next| next.number > change.number);
        let id = is_last.then(|| self.app.hub.id(change.number));
        if is_same_version {
            if !is_same_state {
                // Rare enough for a look at everything.
                let stats = self.app.catalog.status().stats;
                let told = stats.iter().find(|stat| stat.ident == change.ident);
                let doing = Doing {
                    stat: &change.ident,
                    state: view.state,
                    reason: told.and_then(|stat| stat.reason.as_deref()),
                    since: told.and_then(|stat| stat.since),
                };
                self.ready.push_back(event("plugin", &doing));
            }
        } else {
            self.ready.push_back(event("update", &Update::of(&change, &view)));
            if let Some(asked) = self.asked.clone() {
                let outcome = self.app.blocking(move |app| rows(app, &asked, &view)).await;
                self.ready.push_back(match outcome.unwrap_or_else(Err) {
                    Ok(rows) => Event::default().event("rows").data(rows),
                    Err(problem) => event("problem", &problem),
                });
            }
        }
        if let Some(id) = id
            && let Some(last) = self.ready.pop_back()
        {
            self.ready.push_back(last.id(id));
        }
    }
}

/// Why something happened, in words.
#[derive(Serialize)]
struct Reason {
    reason: &'static str,
}

/// The rows of a stat as they are now.
#[derive(Serialize)]
struct Update<'a> {
    stat: &'a str,
    version: &'a str,
    complete_until: CompleteUntil,
    state: StatState,
    /// Rows of the first model.
    rows: u64,
    changed: Option<Changed>,
}

/// Times of the rows that changed, both inclusive; as they stand they can be asked for.
#[derive(Serialize)]
struct Changed {
    start: UtcTime,
    stop: UtcTime,
}

impl<'a> Update<'a> {
    fn of(change: &'a Change, view: &'a StatView) -> Self {
        let changed =
            |(from, to): ChangedTimes| Changed { start: UtcTime(from), stop: UtcTime(to) };
        Self {
            stat: &change.ident,
            version: &view.version,
            complete_until: view.complete_until,
            state: view.state,
            rows: view.snapshot.rows(0),
            changed: change.times.map(changed),
        }
    }
}

/// What a stat is doing now.
#[derive(Serialize)]
struct Doing<'a> {
    stat: &'a str,
    state: StatState,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<UtcTime>,
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // One line, however long: JSON has its line ends escaped.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(data)
}

/// The first page of the answer to a query, in its envelope.
fn rows(app: &App, asked: &[(String, String)], view: &StatView) -> Result<String, Problem> {
    let pairs = asked.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query: Query = params::parse(pairs, now_us()).map_err(Problem::params)?;
    let answer = query::run(&view.snapshot, &query, &app.options.limits)?;
    let envelope = json::Envelope {
        stat: view.snapshot.manifest().ident.clone(),
        model: answer.model,
        version: view.version.clone(),
        complete_until: view.complete_until.to_string(),
        step_s: answer.step_s,
        total: answer.table.total,
        page: answer.page.number,
        pages: answer.page.count,
        next: None,
        cursor: answer.next.as_ref().map(ToString::to_string),
        columns: answer.table.columns.clone(),
    };
    let mut body = Vec::new();
    json::enveloped(&envelope, &answer.table, query.shape, query.time, &mut body);
    String::from_utf8(body).map_err(|_| Problem::internal())
}
