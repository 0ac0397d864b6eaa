//! Prometheus text: the host's state, counted exactly, and what the process measured on its way.
//!
//! What [`Status`] knows is written from it, so that several hosts in one process do not mix; the
//! `metrics` crate's recorder adds what only happens, such as requests. Names end in a unit or in
//! `_total`.

use std::fmt::Write;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use crate::query::{CompleteUntil, ConnectionState, StatState, Status};

/// How often distributions are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Reads what the process measured.
pub type Handle = PrometheusHandle;

/// Makes the process measure itself; the first call installs the recorder, later ones find it.
///
/// Returns `None` if the embedding program has installed a recorder of its own.
pub fn install() -> Option<Handle> {
    static INSTALLED: Mutex<Option<Handle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock();
    if installed.is_none() {
        let seconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0];
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
            .ok()?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        *installed = Some(handle);
    }
    installed.clone()
}

/// Folds what was measured together from time to time, for distributions are kept raw until then. Never
/// ends.
pub(super) async fn keep_up(measured: Option<Handle>) {
    let Some(handle) = measured else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

/// Returns everything as Prometheus reads it.
#[must_use]
pub fn render(status: &Status, measured: Option<&Handle>) -> String {
    let mut out = Text::default();
    out.family("statmill_uptime_seconds", "gauge", "Since the process started.");
    out.sample(&[], status.host.uptime_s);
    out.family("statmill_ready_info", "gauge", "1 once every stat was level with its logs.");
    out.sample(&[], u8::from(status.host.ready));
    let views = status.host.views;
    out.family("statmill_views_given_up_total", "counter", "Views not computed in time.");
    out.sample(&[], views.given_up);
    out.family("statmill_views_stuck_info", "gauge", "Threads of such views that still run.");
    out.sample(&[], views.stuck);
    out.family(
        "statmill_store_refused_info",
        "gauge",
        "1 while nothing can be committed because the disk refuses.",
    );
    out.sample(&[], u8::from(status.host.refused.is_some()));
    let threads = status.host.threads;
    out.family("statmill_threads_given_up_total", "counter", "Threads in which a stat hung.");
    out.sample(&[], threads.given_up);
    out.family("statmill_threads_stuck_info", "gauge", "Those of them that still run.");
    out.sample(&[], threads.stuck);
    stats(status, &mut out);
    logs(status, &mut out);
    sources(status, &mut out);
    if let Some(handle) = measured {
        out.0.push_str(&handle.render());
    }
    out.0
}

fn stats(status: &Status, out: &mut Text) {
    out.family("statmill_stat_state_info", "gauge", "1 for the state each stat is in.");
    for stat in &status.stats {
        out.sample(&[("stat", &stat.ident), ("state", &stat.state.to_string())], 1);
    }
    out.family(
        "statmill_stat_state_since_timestamp_seconds",
        "gauge",
        "Since when each stat is in its state.",
    );
    for stat in &status.stats {
        if let Some(since) = stat.since {
            out.sample(&[("stat", &stat.ident)], crate::query::time::unix(since.0));
        }
    }
    out.family(
        "statmill_plugin_refused_info",
        "gauge",
        "1 for a plugin file that is not in use as it is.",
    );
    for plugin in &status.plugins {
        out.sample(&[("file", &plugin.file)], u8::from(plugin.error.is_some()));
    }
    out.family("statmill_stat_healthy_info", "gauge", "0 for a stat that no longer counts.");
    for stat in &status.stats {
        let is_well = !matches!(stat.state, StatState::Quarantined | StatState::Failed);
        out.sample(&[("stat", &stat.ident)], u8::from(is_well));
    }
    out.family("statmill_stat_rows", "gauge", "Rows of each stored model.");
    for stat in &status.stats {
        for (model, rows) in &stat.models {
            out.sample(&[("stat", &stat.ident), ("model", model)], rows);
        }
    }
    out.family(
        "statmill_stat_lag_messages",
        "gauge",
        "Messages the logs hold beyond the position.",
    );
    for stat in &status.stats {
        if let Some(lag) = stat.lag_messages {
            out.sample(&[("stat", &stat.ident)], lag);
        }
    }
    out.family("statmill_stat_lag_seconds", "gauge", "Age of the oldest unread message.");
    for stat in &status.stats {
        if let Some(lag) = stat.lag_s {
            out.sample(&[("stat", &stat.ident)], lag);
        }
    }
    out.family(
        "statmill_stat_complete_until_timestamp_seconds",
        "gauge",
        "Up to when the rows account for all that reached the host.",
    );
    for stat in &status.stats {
        if let CompleteUntil::At(time_us) = stat.complete_until {
            out.sample(&[("stat", &stat.ident)], crate::query::time::unix(time_us));
        }
    }
    out.family("statmill_stat_messages_total", "counter", "Messages folded.");
    for stat in &status.stats {
        out.sample(&[("stat", &stat.ident)], stat.messages);
    }
    out.family(
        "statmill_stat_too_late_total",
        "counter",
        "Increments older than all that is kept.",
    );
    for stat in &status.stats {
        out.sample(&[("stat", &stat.ident)], stat.too_late);
    }
    out.family("statmill_stat_dead_letters_total", "counter", "Messages a plugin could not fold.");
    for stat in &status.stats {
        out.sample(&[("stat", &stat.ident)], stat.dead_letters);
    }
    out.family("statmill_stat_rejects_total", "counter", "Messages refused, by reason.");
    for stat in &status.stats {
        for (reason, rejects) in &stat.rejects {
            out.sample(&[("stat", &stat.ident), ("reason", reason)], rejects);
        }
    }
}

fn logs(status: &Status, out: &mut Text) {
    out.family("statmill_log_bytes", "gauge", "Bytes kept of each log.");
    for log in &status.logs {
        out.sample(&[("log", &log.name)], log.bytes);
    }
    out.family("statmill_log_holes_info", "gauge", "Ranges of a log that cannot be read.");
    for log in &status.logs {
        out.sample(&[("log", &log.name)], log.holes.len());
    }
    out.family("statmill_fill_messages_total", "counter", "Messages fetched from a history.");
    for log in &status.logs {
        for fill in &log.fills {
            let id = fill.id.map(|id| id.to_string()).unwrap_or_default();
            out.sample(
                &[("log", &log.name), ("history", &fill.history), ("fill", &id)],
                fill.messages,
            );
        }
    }
}

fn sources(status: &Status, out: &mut Text) {
    let sources = || status.logs.iter().filter_map(|log| Some((&*log.name, log.source.as_ref()?)));
    let connections =
        || sources().flat_map(|(log, it)| it.connections.iter().map(move |it| (log, it)));
    out.family("statmill_source_connected_info", "gauge", "1 for a connection that is there.");
    for (log, connection) in connections() {
        let is_there = u8::from(connection.state == ConnectionState::Connected);
        out.sample(&[("log", log), ("address", &connection.address)], is_there);
    }
    out.family("statmill_source_connects_total", "counter", "How often a connection was made.");
    for (log, connection) in connections() {
        out.sample(&[("log", log), ("address", &connection.address)], connection.connects);
    }
    out.family(
        "statmill_source_failures_total",
        "counter",
        "How often a connection was lost or could not be made.",
    );
    for (log, connection) in connections() {
        out.sample(&[("log", log), ("address", &connection.address)], connection.failures);
    }
    out.family("statmill_source_received_messages_total", "counter", "Messages that came.");
    for (log, source) in sources() {
        out.sample(&[("log", log)], source.received);
    }
    out.family(
        "statmill_source_duplicate_messages_total",
        "counter",
        "Messages that the journal had already.",
    );
    for (log, source) in sources() {
        out.sample(&[("log", log)], source.duplicates);
    }
    out.family("statmill_source_refused_messages_total", "counter", "Messages refused, by reason.");
    for (log, source) in sources() {
        for (reason, messages) in &source.refused {
            out.sample(&[("log", log), ("reason", reason)], messages);
        }
    }
}

#[derive(Default)]
struct Text(String, &'static str);

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.1 = name;
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(self.1);
        for (place, (name, text)) in labels.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{name}=\"{}\"", escape(text));
        }
        self.0.push_str(if labels.is_empty() { " " } else { "} " });
        let _ = writeln!(self.0, "{value}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::status::StatStatus;

    #[test]
    fn hostile_names_stay_inside_their_quotes() {
        let stat = StatStatus {
            ident: "a\"b\\c\nd".to_owned(),
            messages: u64::MAX,
            ..StatStatus::default()
        };
        let text = render(&Status { stats: vec![stat], ..Status::default() }, None);
        let line = "statmill_stat_messages_total{stat=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n";
        assert!(text.contains(line), "{text}");
    }
}
