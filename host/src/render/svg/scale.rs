//! From values to pixels: even and logarithmic scales, and where their ticks are.

use super::chart::AxisForm;

/// Beyond this a value is drawn at the edge: sums of what lies within stay finite.
const LARGEST: f64 = 1e300;
/// Below this a value is nothing: so are quotients of such values not infinite.
const SMALLEST: f64 = 1e-300;

/// A value that can be drawn; `None` if it is not finite.
pub(super) fn drawable(value: f64) -> Option<f64> {
    let kept = if value.abs() < SMALLEST { 0.0 } else { value.clamp(-LARGEST, LARGEST) };
    value.is_finite().then_some(kept)
}

/// Values of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Domain {
    log: bool,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Distance of the ticks of an even domain.
    step: f64,
    pub(super) ticks: Vec<f64>,
}

impl Domain {
    /// Returns a domain that holds the values, with about `wanted` ticks. On an even domain these
    /// are round multiples of `unit`, and both its ends are ticks.
    pub(super) fn of(
        values: impl Iterator<Item = f64>,
        form: AxisForm,
        unit: impl Fn(f64) -> f64,
        wanted: usize,
    ) -> Self {
        let (mut low, mut high, mut above_zero) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
        for value in values.filter_map(drawable) {
            low = low.min(value);
            high = high.max(value);
            if value > 0.0 {
                above_zero = above_zero.min(value);
            }
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if form == AxisForm::Log && high > 0.0 {
            return Self::log(above_zero.min(high), high, wanted);
        }
        if form == AxisForm::Zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low == high {
            // Any value alone is shown with as much room as its own size above and below.
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.05 };
            (low, high) = if low == 0.0 {
                (0.0, 1.0)
            } else {
                (low - room, (high + room).min(LARGEST * 1.1))
            };
        }
        let unit = unit(low.abs().max(high.abs())).max(f64::MIN_POSITIVE);
        let step = round_step((high - low) / unit, wanted.max(1)) * unit;
        let first = (low / step + 1e-9).floor();
        let count = ((high / step - 1e-9).ceil() - first).clamp(1.0, 50.0) as u32;
        let ticks: Vec<f64> =
            (0..=count).map(|place| (first + f64::from(place)) * step + 0.0).collect();
        let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
        Self { log: false, low, high, step, ticks }
    }

    /// From the round number (1, 2 or 5 and zeros) below the values to that above them.
    fn log(low: f64, high: f64, wanted: usize) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let rounds = |power: i32| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power));
        let all: Vec<f64> = (first..=last.max(first + 1)).flat_map(rounds).collect();
        let begin = all.iter().rposition(|round| *round <= low * 1.000_001).unwrap_or(0);
        let end = all.iter().position(|round| *round >= high * 0.999_999).unwrap_or(all.len() - 1);
        let end = end.max(begin + 1).min(all.len() - 1);
        let begin = begin.min(end - 1);
        let shown = &all[begin..=end];
        // Every third round number is a power of ten, the first of all among them.
        let powers = (begin..=end).filter(|place| place % 3 == 0).count();
        let ticks = if shown.len() <= wanted + 2 || powers < 2 {
            shown.to_vec()
        } else {
            let every = 3 * powers.div_ceil(wanted.max(1));
            (begin..=end).filter(|place| place % every == 0).map(|place| all[place]).collect()
        };
        Self { log: true, low: shown[0], high: shown[shown.len() - 1], step: 0.0, ticks }
    }

    /// Returns the distance of the ticks around a tick.
    pub(super) fn step(&self, tick: f64) -> f64 {
        if self.log { 10_f64.powf(tick.log10().floor()) } else { self.step }
    }

    /// Returns the value that decides in which unit a tick is written: on an even axis all in one.
    pub(super) fn unit_of(&self, tick: f64) -> f64 {
        if self.log { tick } else { self.low.abs().max(self.high.abs()) }
    }
}

/// A domain laid out on the picture.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) domain: Domain,
    from_px: f64,
    to_px: f64,
}

impl Scale {
    /// Lays a domain out from its lowest value's place to its highest value's.
    pub(super) fn new(domain: Domain, from_px: f64, to_px: f64) -> Self {
        Self { domain, from_px, to_px }
    }

    /// Lays a range of numbers out, without ticks.
    pub(super) fn plain(low: f64, high: f64, from_px: f64, to_px: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let domain = Domain { log: false, low, high, step: high - low, ticks: Vec::new() };
        Self { domain, from_px, to_px }
    }

    /// Returns the place of a value: always finite, and never beyond the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let Domain { log, low, high, .. } = self.domain;
        let part = if log {
            let value = value.max(low);
            (value.log10() - low.log10()) / (high.log10() - low.log10())
        } else {
            (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
        };
        let part = if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) };
        self.from_px + part * (self.to_px - self.from_px)
    }

    /// Returns the place of zero, or of the end that is nearest to it.
    pub(super) fn base(&self) -> f64 {
        self.at(0.0)
    }
}

/// Returns the round number nearest above `span / wanted`: 1, 2, 2.5 or 5 and zeros.
fn round_step(span: f64, wanted: usize) -> f64 {
    let rough = span / wanted as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let digit = rough / power;
    let round = [1.0, 2.0, 2.5, 5.0].into_iter().find(|round| digit <= round * 1.000_001);
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(values: &[f64], form: AxisForm) -> Vec<f64> {
        Domain::of(values.iter().copied(), form, |_| 1.0, 5).ticks
    }

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(
            ticks(&[3.0, 1190.0], AxisForm::Zero),
            [0.0, 250.0, 500.0, 750.0, 1000.0, 1250.0]
        );
        assert_eq!(ticks(&[101.0, 104.0], AxisForm::Auto), [101.0, 102.0, 103.0, 104.0]);
        assert_eq!(ticks(&[-7.0, 12.0], AxisForm::Zero), [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0]);
        assert_eq!(ticks(&[3.0, 400.0], AxisForm::Log), [10.0, 100.0]);
        assert_eq!(ticks(&[3.0, 40.0], AxisForm::Log), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(ticks(&[3.0, 4e6], AxisForm::Log), [100.0, 1e4, 1e6]);
        assert_eq!(
            ticks(&[0.0, 0.0], AxisForm::Zero),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
    }

    #[test]
    fn whatever_the_values_places_are_finite_and_between_the_ends() {
        let odd = [f64::NAN, f64::INFINITY, -f64::INFINITY, f64::MAX, f64::MIN, 0.0, -0.0, 5e-324];
        for form in [AxisForm::Zero, AxisForm::Auto, AxisForm::Log] {
            for a in odd {
                for b in odd {
                    let domain = Domain::of([a, b].into_iter(), form, |_| 1.0, 5);
                    assert!(domain.ticks.len() <= 51);
                    assert!(domain.ticks.iter().all(|tick| tick.is_finite()), "{a} {b} {domain:?}");
                    let scale = Scale::new(domain, 200.0, 10.0);
                    for value in odd {
                        assert!((10.0..=200.0).contains(&scale.at(value)), "{a} {b} {value}");
                    }
                }
            }
        }
    }
}
