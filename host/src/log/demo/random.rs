//! Random numbers that are the same on every machine: whole-number arithmetic, and of floats only what
//! IEEE 754 defines to the last bit.

/// splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

pub(super) fn mix(value: u64) -> u64 {
    let mut it = value;
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

impl Random {
    /// The numbers that belong to `index` in the world of `seed`.
    pub(super) fn of(seed: u64, index: u64) -> Self {
        Self(mix(seed ^ 0x5bf0_3635_dcf5_9e1d) ^ mix(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..end`; `end` must not be 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// True `times` times in a thousand.
    pub(super) fn permille(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    pub(super) fn one_of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    /// About normally distributed with mean 0 and deviation 1, within ±3.5.
    fn normal(&mut self) -> f64 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f64 / 65_536.0 - 2.0) * 1.732_050_807_568_877_2
    }

    /// Log-normally distributed around `median`: two thirds lie within a factor of 2^`octaves`.
    pub(super) fn log_normal(&mut self, median: f64, octaves: f64) -> f64 {
        median * exp2(self.normal() * octaves)
    }
}

/// 2^`power` to about five digits, for |power| < 60; the libraries differ in the last bit.
fn exp2(power: f64) -> f64 {
    let whole = power.floor();
    let part = power - whole;
    let curve = 1.0
        + part
            * (std::f64::consts::LN_2
                + part * (0.240_226_5 + part * (0.055_504_1 + part * 0.011_122_2)));
    if whole >= 0.0 {
        curve * (1u64 << whole as u32) as f64
    } else {
        curve / (1u64 << -whole as u32) as f64
    }
}

/// Picks of unequal likelihood: item `k` in proportion to its weight.
#[derive(Debug)]
pub(super) struct Weighted(Vec<u64>);

impl Weighted {
    pub(super) fn new(weights: impl Iterator<Item = u64>) -> Self {
        Self(
            weights
                .scan(0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                })
                .collect(),
        )
    }

    /// The first of `len` items is the most frequent, the k-th about k times rarer.
    pub(super) fn zipf(len: u64) -> Self {
        Self::new((0..len).map(|rank| (1 << 24) / (rank + 3)))
    }

    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let at = random.below(self.0.last().copied().unwrap_or(1));
        self.0.partition_point(|sum| *sum <= at).min(self.0.len().saturating_sub(1))
    }
}
