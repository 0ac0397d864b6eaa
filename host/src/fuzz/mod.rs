//! Seeded fuzzing of whatever reads bytes from outside.
//!
//! A target has seeds (real encodings) and a judge, which reads an input and says what became of it: an
//! outcome in words, or what is wrong. [`run`] changes seeds ([`bytes`], [`json`]), puts what led to a rare outcome among
//! them, and makes what fails small. A panic fails; so does an input that takes longer than any may.
//!
//! An ordinary run is short. `STATMILL_FUZZ_SECONDS=600` makes it long, `STATMILL_FUZZ_SEED` makes it another.

mod bytes;
mod json;
mod random;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub(crate) use self::bytes::change as change_bytes;
pub(crate) use self::json::change_json;
pub(crate) use self::random::Random;

/// Inputs of an ordinary run.
const EXECUTIONS: u64 = 1_500;
/// Time between two lines of a long run.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// No input takes a thousandth of it, on any machine; one that does not end would take longer.
const LONGEST: Duration = Duration::from_secs(30);
/// An outcome that so many inputs had is not rare any more.
const RARE: u64 = 16;
/// Most inputs that are kept beside the seeds.
const KEPT: usize = 4_096;
/// Longest input that is judged, unless a seed is longer.
const LARGEST: usize = 1 << 14;

/// What became of an input, in a few words; or what is wrong.
pub(crate) type Verdict = Result<String, String>;

/// Changes an input once; the other one gives parts to put in.
pub(crate) type Change<'a> = &'a dyn Fn(&mut Random, &mut Vec<u8>, &[u8]);

/// What is fuzzed.
pub(crate) struct Target<'a> {
    /// Its name in what is printed.
    pub(crate) name: &'a str,
    /// Real encodings.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Bytes that mean something in them.
    pub(crate) words: &'a [&'a [u8]],
    /// Changes an input in its own form, most of the time; else its bytes are changed.
    pub(crate) change: Option<Change<'a>>,
    /// Makes what was changed believable again, such as check sums; done to most inputs.
    pub(crate) mend: &'a dyn Fn(&mut [u8]),
    /// Reads an input.
    pub(crate) judge: &'a dyn Fn(&[u8]) -> Verdict,
}

/// Fuzzes `target`; panics with the smallest input that is still judged wrong, base 16. Every seed must
/// have one of the outcomes `expected`, and inputs must have had others besides: else nothing was tested.
pub(crate) fn run(target: &Target<'_>, expected: &[&str]) {
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("STATMILL_FUZZ_SEED").unwrap_or(1);
    let time = number("STATMILL_FUZZ_SECONDS").map(Duration::from_secs);
    let mut tally = Tally::default();
    let mut pool = target.seeds.clone();
    for text in &pool {
        let outcome = tally.judge(target, text);
        assert!(expected.contains(&&*outcome), "{}: a seed is {outcome:?}", target.name);
    }
    let largest = pool.iter().map(Vec::len).max().unwrap_or(0).max(LARGEST);
    let mut random = Random::from_seed(seed);
    let (start, mut line) = (Instant::now(), Instant::now());
    while time.map_or(tally.executions < EXECUTIONS, |time| start.elapsed() < time) {
        // What was kept must not drown what is whole.
        let from = if random.chance(50) { target.seeds.len() } else { pool.len() };
        let mut text = pool[random.below(from)].clone();
        let donor = pool[random.below(pool.len())].clone();
        let change = target.change.filter(|_| random.chance(70));
        for _ in 0..=random.few(6) {
            match change {
                Some(change) => change(&mut random, &mut text, &donor),
                None => change_bytes(&mut random, &mut text, target.words, &donor),
            }
        }
        text.truncate(largest);
        if !random.chance(10) {
            (target.mend)(&mut text);
        }
        let outcome = tally.judge(target, &text);
        if tally.outcomes[&outcome] <= RARE && pool.len() < target.seeds.len() + KEPT {
            pool.push(text);
        }
        if time.is_some() && line.elapsed() > LINE_EVERY {
            line = Instant::now();
            eprintln!(
                "{} seed {seed}, {} s: {}",
                target.name,
                start.elapsed().as_secs(),
                tally.line()
            );
        }
    }
    let seconds = start.elapsed().as_secs();
    eprintln!("{} seed {seed}, {seconds} s, no finding: {tally:#?}", target.name);
    assert!(tally.outcomes.len() > expected.len(), "{}: nothing else was met", target.name);
}

/// What inputs turned out to be, so that nobody takes silence for a test.
#[derive(Debug, Default)]
struct Tally {
    executions: u64,
    bytes: u64,
    slowest: Duration,
    outcomes: BTreeMap<String, u64>,
}

impl Tally {
    /// Judges `text` and counts its outcome. Panics if it is wrong.
    fn judge(&mut self, target: &Target<'_>, text: &[u8]) -> String {
        let start = Instant::now();
        let outcome = outcome_of(target, text).unwrap_or_else(|failure| {
            let mut small = text.to_vec();
            drop_while_failing(&mut small, |text| outcome_of(target, text).is_err());
            let last = outcome_of(target, &small).err().unwrap_or(failure);
            panic!("{}: {last}\ninput: {}", target.name, hex(&small));
        });
        let took = start.elapsed();
        assert!(took < LONGEST, "{} took {took:?}: {}", target.name, hex(text));
        self.executions += 1;
        self.bytes += text.len() as u64;
        self.slowest = self.slowest.max(took);
        *self.outcomes.entry(outcome.clone()).or_default() += 1;
        outcome
    }

    fn line(&self) -> String {
        let Self { executions, bytes, slowest, outcomes } = self;
        format!(
            "{executions} inputs, {bytes} bytes, {} outcomes, slowest {slowest:?}",
            outcomes.len()
        )
    }
}

/// Judges an input; numbers and quoted parts are left out of outcomes, so that these are few.
fn outcome_of(target: &Target<'_>, text: &[u8]) -> Result<String, String> {
    let judged = catch_unwind(AssertUnwindSafe(|| (target.judge)(text)));
    judged.map_err(|panic| panic_text(&*panic))?.map(|outcome| words_of(&outcome))
}

fn words_of(outcome: &str) -> String {
    // What serde_json says is not only its place, but what stood there.
    if outcome.contains(" at line ") {
        return "no such JSON".to_owned();
    }
    let mut words = String::new();
    for (number, part) in outcome.split('"').enumerate() {
        if number % 2 == 0 {
            words.extend(part.chars().filter(|char| !char.is_ascii_digit()));
        }
    }
    words.truncate(words.floor_char_boundary(100));
    words
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or_default())
}

/// Drops ever smaller stretches of `parts` as long as what is left fails.
pub(crate) fn drop_while_failing<T: Clone>(parts: &mut Vec<T>, fails: impl Fn(&[T]) -> bool) {
    let mut size = parts.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < parts.len() {
            let end = (at + size).min(parts.len());
            let rest = [&parts[..at], &parts[end..]].concat();
            if fails(&rest) {
                *parts = rest;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    if parts.len() == 1 && fails(&[]) {
        parts.clear();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
