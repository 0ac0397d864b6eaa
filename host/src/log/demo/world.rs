//! Who does what in the invented project, and how that is written down.

use std::io::Write;

use super::DemoId;
use super::random::{Random, Weighted};
use super::text::Pool;

/// What a message tells of besides its package and timing.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Build,
    Update,
    Review,
    Push,
    Chat,
    Mirror,
    Compose,
    Account,
}

struct Topic {
    /// Behind `org.fedoraproject.prod.`: topics are those the shipped statistics know.
    name: &'static str,
    weight: u64,
    kind: Kind,
    /// Median of `elapsed_ms`.
    elapsed_ms: f64,
}

const fn topic(name: &'static str, weight: u64, kind: Kind, elapsed_ms: f64) -> Topic {
    Topic { name, weight, kind, elapsed_ms }
}

const TOPICS: &[Topic] = &[
    topic("buildsys.build.state.change", 150, Kind::Build, 240_000.0),
    topic("buildsys.task.state.change", 120, Kind::Build, 45_000.0),
    topic("buildsys.tag", 60, Kind::Build, 900.0),
    topic("buildsys.rpm.sign", 35, Kind::Build, 5200.0),
    topic("copr.build.start", 70, Kind::Build, 1800.0),
    topic("copr.build.end", 68, Kind::Build, 180_000.0),
    topic("bodhi.update.request.testing", 45, Kind::Update, 640.0),
    topic("bodhi.update.request.stable", 30, Kind::Update, 710.0),
    topic("bodhi.update.comment", 60, Kind::Update, 120.0),
    topic("bodhi.update.complete.testing", 34, Kind::Update, 8400.0),
    topic("bodhi.update.edit", 16, Kind::Update, 310.0),
    topic("git.receive", 85, Kind::Push, 350.0),
    topic("git.branch", 8, Kind::Push, 95.0),
    topic("pagure.pull-request.new", 22, Kind::Review, 260.0),
    topic("pagure.pull-request.comment.added", 48, Kind::Review, 140.0),
    topic("pagure.pull-request.closed", 19, Kind::Review, 480.0),
    topic("pagure.issue.new", 17, Kind::Review, 170.0),
    topic("meetbot.meeting.item.agreed", 6, Kind::Chat, 12.0),
    topic("irc.karma", 24, Kind::Chat, 18.0),
    topic("mailman.receive", 20, Kind::Chat, 1500.0),
    topic("mirrormanager.crawl.complete", 28, Kind::Mirror, 95_000.0),
    topic("mirrormanager.mirror.stale", 4, Kind::Mirror, 31_000.0),
    topic("compose.rawhide.start", 1, Kind::Compose, 4000.0),
    topic("compose.rawhide.complete", 1, Kind::Compose, 14_000_000.0),
    topic("fas.user.create", 5, Kind::Account, 230.0),
    topic("fas.group.member.sponsor", 3, Kind::Account, 180.0),
    topic("badges.badge.award", 12, Kind::Account, 75.0),
];

const SYLLABLES: &[&str] = &[
    "ba", "ke", "li", "mo", "nu", "pra", "ste", "vor", "zi", "qua", "tel", "gim", "ron", "dar",
    "fen", "hol", "jas", "kur", "lam", "mir", "nex", "pyr", "sol", "tam", "ulm", "wyn", "xor",
    "zan",
];
const FAR_NAMES: &[&str] =
    &["jürgen", "žaneta", "łukasz", "anaïs", "和也", "ольга", "søren", "müller", "이준", "ñandú"];
const PREFIXES: &[&str] = &["", "", "", "lib", "python-", "rust-", "perl-", "golang-", "kde-"];
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64", "ppc64le", "s390x", "i686"];
const STATES: &[&str] = &["open", "complete", "complete", "complete", "failed", "canceled"];
const CHANNELS: &[&str] = &["#devel", "#meeting", "#ops", "#café", "#new-here"];

const USERS: u64 = 700;
const PACKAGES: u64 = 2500;

#[derive(Debug)]
pub(super) struct World {
    users: Vec<String>,
    packages: Vec<String>,
    user_picks: Weighted,
    package_picks: Weighted,
    topic_picks: Weighted,
    pool: Pool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::of(seed, u64::MAX);
        let users = (0..USERS).map(|number| user_name(number, &mut random)).collect();
        let packages = (0..PACKAGES).map(|number| package_name(number, &mut random)).collect();
        Self {
            users,
            packages,
            user_picks: Weighted::zipf(USERS),
            package_picks: Weighted::zipf(PACKAGES),
            topic_picks: Weighted::new(TOPICS.iter().map(|topic| topic.weight)),
            pool: Pool::new(&mut random),
        }
    }

    pub(super) fn write(
        &self,
        id: DemoId,
        time_us: i64,
        size: usize,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) {
        let first = out.len();
        let topic = &TOPICS[self.topic_picks.pick(random)];
        let (second, fraction) = (time_us.div_euclid(1_000_000), time_us.rem_euclid(1_000_000));
        put(
            out,
            format_args!(
                "{{\"msg_id\":\"{id}\",\"topic\":\"org.fedoraproject.prod.{}\",\
                 \"timestamp\":{second}.{fraction:06},",
                topic.name
            ),
        );
        // Some programs do not know who they work for, some do not say.
        match random.below(100) {
            0 => out.extend_from_slice(b"\"username\":null,"),
            1 => {}
            _ => {
                let user = &self.users[self.user_picks.pick(random)];
                put(out, format_args!("\"username\":\"{user}\",\"users\":[\"{user}\"],"));
            }
        }
        let package = self.package_picks.pick(random);
        let has_package =
            matches!(topic.kind, Kind::Build | Kind::Update | Kind::Review | Kind::Push);
        if has_package {
            put(out, format_args!("\"packages\":[\"{}\"],", self.packages[package]));
        }
        put(out, format_args!("\"i\":{},\"msg\":{{", id.index + 1));
        if has_package {
            let (major, minor) = (random.below(9), random.below(40));
            put(
                out,
                format_args!(
                    "\"package\":{{\"name\":\"{}\",\"version\":\"{major}.{minor}\"}},",
                    self.packages[package]
                ),
            );
        }
        self.details(topic.kind, random, out);
        if !random.permille(5) {
            // Large packages take longer, always the same ones.
            let median = topic.elapsed_ms * (0.5 + (package % 7) as f64 / 4.0);
            let elapsed_ms = random.log_normal(median, 1.2) as u64;
            let queued_ms = random.log_normal(400.0, 1.5) as u64;
            put(
                out,
                format_args!(
                    "\"timing\":{{\"queued_ms\":{queued_ms},\"elapsed_ms\":{elapsed_ms}}},"
                ),
            );
        }
        out.extend_from_slice(b"\"text\":\"");
        let target = random.log_normal(size as f64 * 0.9, 0.7) as usize;
        self.pool.write(target.saturating_sub(out.len() - first + 3), random, out);
        out.extend_from_slice(b"\"}}");
    }

    fn details(&self, kind: Kind, random: &mut Random, out: &mut Vec<u8>) {
        let number = random.below(1_000_000);
        let other = &self.users[self.user_picks.pick(random)];
        match kind {
            Kind::Build => {
                let state = random.one_of(STATES);
                let arch = random.one_of(ARCHITECTURES);
                let size = random.log_normal(900_000.0, 2.5) as u64;
                put(
                    out,
                    format_args!(
                        "\"build_id\":{number},\"state\":\"{state}\",\"arch\":\"{arch}\",\
                         \"size_bytes\":{size},"
                    ),
                );
            }
            Kind::Update => {
                let karma = random.below(7) as i64 - 2;
                put(
                    out,
                    format_args!(
                        "\"update\":{{\"alias\":\"ACME-2026-{number:06x}\",\"karma\":{karma},\
                         \"critpath\":{}}},",
                        karma < 0
                    ),
                );
            }
            Kind::Review => put(
                out,
                format_args!(
                    "\"request\":{{\"id\":{number},\"author\":\"{other}\",\"tags\":[\"easyfix\"]}},"
                ),
            ),
            Kind::Push => {
                let lines = random.log_normal(20.0, 2.0) as u64;
                put(
                    out,
                    format_args!(
                        "\"commit\":{{\"rev\":\"{:016x}\",\"lines\":{lines},\"branch\":\"rawhide\"}},",
                        random.next()
                    ),
                );
            }
            Kind::Chat => {
                let channel = random.one_of(CHANNELS);
                put(out, format_args!("\"channel\":\"{channel}\",\"to\":\"{other}\","));
            }
            Kind::Mirror => {
                let bytes = random.log_normal(4e9, 1.5) as u64;
                put(
                    out,
                    format_args!(
                        "\"mirror\":{{\"host\":\"mirror{}.example.org\",\"bytes\":{bytes},\
                         \"ok\":{}}},",
                        number % 90,
                        !number.is_multiple_of(11)
                    ),
                );
            }
            Kind::Compose => {
                let arch = random.one_of(ARCHITECTURES);
                put(out, format_args!("\"compose\":{{\"id\":{number},\"arch\":\"{arch}\"}},"));
            }
            Kind::Account => put(out, format_args!("\"subject\":\"{other}\",\"group\":null,")),
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A Vec takes everything.
    let _ = out.write_fmt(text);
}

fn user_name(number: u64, random: &mut Random) -> String {
    if random.permille(30) {
        return format!("{}{number}", random.one_of(FAR_NAMES));
    }
    let mut name: String = (0..2 + random.below(2)).map(|_| random.one_of(SYLLABLES)).collect();
    if number >= 40 {
        name.push_str(&number.to_string());
    }
    name
}

fn package_name(number: u64, random: &mut Random) -> String {
    let mut name = random.one_of(PREFIXES).to_owned();
    name.extend((0..2 + random.below(2)).map(|_| random.one_of(SYLLABLES)));
    if number >= 60 {
        name.push_str(&(number % 400).to_string());
    }
    name
}
