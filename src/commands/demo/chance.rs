//! Chance that can be repeated.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): eight
/// lines whose sequence for a seed will never change under us, which no crate promises.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0, less than 1.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with that probability.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// From `least` to less than `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % most.saturating_sub(least).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_reference() {
        // The reference implementation (prng.di.unimi.it/splitmix64.c) from seed 1234567.
        let mut chance = Chance::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| chance.next()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn what_is_drawn_lies_within_its_bounds() {
        let mut chance = Chance::new(7);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&chance.share()));
            assert!((5..9).contains(&chance.between(5, 9)));
        }
        assert_eq!(chance.between(5, 5), 5);
        assert!(!chance.happens(0.0) && chance.happens(1.0));
    }
}
