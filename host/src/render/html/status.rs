//! What the host is doing: statistics, plugins, sources, fills.

use maud::{Markup, html};

use super::encode;
use super::stats::until;
use super::table::When;
use crate::dashboards::Fault;
use crate::query::{FillStatus, LogStatus, PluginReport, Progress, StatState, StatStatus, Status};

/// What the page of the status shows.
pub struct StatusPage<'a> {
    /// All of it.
    pub status: &'a Status,
    /// What is wrong with dashboards.
    pub faults: &'a [Fault],
    /// How times are shown.
    pub when: When,
}

/// Returns what is inside the element of the status.
#[must_use]
pub fn status(page: &StatusPage<'_>) -> Markup {
    let StatusPage { status, faults, when } = page;
    let letters: Vec<_> = status
        .stats
        .iter()
        .flat_map(|stat| stat.letters.iter().map(move |letter| (stat, letter)))
        .collect();
    html! {
        p {
            "statmill " (status.host.version) ", "
            @if status.host.stopping { "stopping" } @else if status.host.ready { "level with all logs" }
            @else { "not level with the logs yet" }
            @if let Some(started) = status.host.started { ", since " (when.time(started.0)) }
            "."
        }
        h2 { "Statistics" }
        (stats(status, when))
        @if !letters.is_empty() {
            h2 { "Messages that could not be folded" }
            div.scroll tabindex="0" role="region" aria-label="Dead letters" { table {
                thead { tr { th scope="col" { "Statistic" } th scope="col" { "Message" } th scope="col" { "Time" }
                    th scope="col" { "Topic" } th scope="col" { "Reason" } } }
                tbody { @for (stat, letter) in letters.iter().take(100) { tr {
                    td { (stat.ident) }
                    td { a href={ "/api/_messages/" (letter.log) "/" (letter.offset.0) } { (letter.offset.0) } }
                    td { (when.time(letter.time.0)) }
                    td { (letter.topic) }
                    td { (letter.reason) }
                } } }
            } }
        }
        h2 { "Plugins" }
        (plugins(&status.plugins))
        h2 { "Sources" }
        (logs(&status.logs, when))
        (fills(&status.logs, when))
        @if !faults.is_empty() {
            h2 { "Definitions of dashboards that are wrong" }
            ul.faults { @for fault in *faults {
                li { code { (fault.file) } " " code { (fault.pointer) } ": " (fault.reason) }
            } }
        }
    }
}

fn stats(status: &Status, when: &When) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Statistics" { table {
            thead { tr {
                th scope="col" { "Statistic" } th scope="col" { "State" } th.number scope="col" { "Rows" }
                th.number scope="col" { "Messages" } th.number scope="col" { "Lag" }
                th scope="col" { "Complete until" } th.number scope="col" { "Dead letters" } th scope="col" { "Version" }
                th scope="col" { "Last error" }
            } }
            tbody { @for stat in &status.stats { tr {
                th scope="row" { a href={ "/api/" (encode(&stat.ident)) ".html" } { (stat.ident) } }
                td {
                    span class={ "state " (stat.state) } { (stat.state) }
                    @if let Some(reason) = &stat.reason { p.problem { (reason) } }
                    @if let Some(outside) = &stat.outside {
                        p.problem { "in a worker process since " (when.time(outside.at.0)) ": " (outside.text) }
                    }
                    @if let Some(done) = stat.progress.as_ref().filter(|_| stat.state != StatState::Live) { (progress(done)) }
                }
                td.number { (stat.rows) }
                td.number { (stat.messages) }
                td.number { (lag(stat)) }
                td { (until(stat.complete_until, when)) }
                td.number { (stat.dead_letters) }
                td { (stat.version) }
                td { @if let Some(fault) = &stat.last_error { (when.time(fault.at.0)) " " (fault.text) } }
            } } }
        } }
    }
}

fn lag(stat: &StatStatus) -> String {
    match (stat.state, stat.lag_messages, stat.lag_s) {
        (StatState::Detached, ..) => "–".to_owned(),
        (_, Some(0), _) => "0".to_owned(),
        (_, Some(messages), Some(seconds)) => format!("{messages} messages, {}", length(seconds)),
        (_, Some(messages), None) => format!("{messages} messages"),
        (_, None, Some(seconds)) => length(seconds),
        (_, None, None) => "unknown".to_owned(),
    }
}

/// A length of time, to read.
fn length(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.0} min", s / 60.0),
        s if s < 129_600.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

fn progress(progress: &Progress) -> Markup {
    html! {
        label.progress {
            (progress.what) " "
            @match progress.total {
                Some(total) => { progress value=(progress.done.min(total)) max=(total.max(1)) {}
                    " " (progress.done) " of " (total) " " (progress.unit) },
                None => { progress {} " " (progress.done) " " (progress.unit) },
            }
            @if let Some(eta_s) = progress.eta_s { ", " (length(eta_s)) " left" }
        }
    }
}

fn plugins(plugins: &[PluginReport]) -> Markup {
    html! {
        @if plugins.is_empty() { p { "No plugin was found." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Plugins" { table {
                thead { tr { th scope="col" { "Plugin" } th scope="col" { "Version" } th scope="col" { "API" }
                    th.number scope="col" { "Statistics" } th scope="col" { "Runs" } th scope="col" { "File" }
                    th scope="col" { "Refused because" } } }
                tbody { @for plugin in plugins { tr {
                    th scope="row" { (plugin.name.as_deref().unwrap_or("unknown")) }
                    td { (plugin.version.as_deref().unwrap_or_default()) }
                    td { (plugin.api.as_deref().unwrap_or_default()) }
                    td.number { (plugin.stats.len()) }
                    td {
                        (plugin.isolation)
                        @if !plugin.sandbox_lacks.is_empty() {
                            p.problem { "its sandbox lacks " (plugin.sandbox_lacks.join(", ")) }
                        }
                    }
                    td { code { (plugin.file) } }
                    td { (plugin.error.as_deref().unwrap_or_default()) }
                } } }
            } }
        }
    }
}

fn logs(logs: &[LogStatus], when: &When) -> Markup {
    html! {
        @if logs.is_empty() { p { "There is no source." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Sources" { table {
                thead { tr { th scope="col" { "Source" } th.number scope="col" { "Records" } th.number scope="col" { "Bytes" }
                    th.number scope="col" { "Duplicates" } th scope="col" { "Connections" } th scope="col" { "Lost" }
                    th scope="col" { "Error" } } }
                tbody { @for log in logs { tr {
                    th scope="row" { (log.name) @if log.finished { " (finished)" } }
                    td.number { @if let Some(records) = log.records { (records) } }
                    td.number { (log.bytes) }
                    td.number { @if let Some(duplicates) = log.duplicates { (duplicates) } }
                    td { @if let Some(source) = &log.source { ul { @for connection in &source.connections { li {
                        (connection.address) ": " (format!("{:?}", connection.state).to_lowercase())
                        @if let Some(fault) = &connection.last_error { " – " (fault.text) }
                    } } } } }
                    td { ul { @for loss in &log.losses { li {
                        @if let Some(from) = loss.from { (when.time(from.0)) } " – "
                        @if let Some(to) = loss.to { (when.time(to.0)) } ": " (loss.reason)
                    } } } }
                    td { (log.error.as_deref().unwrap_or_default()) }
                } } }
            } }
        }
    }
}

fn fills(logs: &[LogStatus], when: &When) -> Markup {
    let fills: Vec<(&LogStatus, &FillStatus)> =
        logs.iter().flat_map(|log| log.fills.iter().map(move |fill| (log, fill))).collect();
    html! {
        @if !fills.is_empty() {
            h2 { "Fetched from history" }
            div.scroll tabindex="0" role="region" aria-label="Fills" { table {
                thead { tr { th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "History" }
                    th.number scope="col" { "Messages" } th.number scope="col" { "Duplicates" } th scope="col" { "Statistics" }
                    th scope="col" { "Progress" } } }
                tbody { @for (log, fill) in fills { tr {
                    td { (when.time(fill.from.0)) }
                    td { (when.time(fill.to.0)) }
                    td { (fill.history) " beside " (log.name) }
                    td.number { (fill.messages) }
                    td.number { (fill.duplicates) }
                    td { (fill.stats.join(", ")) }
                    td {
                        @if fill.finished { "finished" } @else if let Some(done) = &fill.progress { (progress(done)) }
                        @if let Some(fault) = &fill.last_error { p.problem { (fault.text) } }
                    }
                } } }
            } }
        }
    }
}
