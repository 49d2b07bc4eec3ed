//! How often a source is asked.

use std::time::Duration;

/// The first pause after a failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// How often a source is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time between two requests is a random one between the two, so that servers do not ask
    /// all at once. After failures it begins with less and grows up to `max_delay`.
    pub min_delay: Duration,
    pub max_delay: Duration,
    /// A number from 0 to 1, another one each time.
    pub random: fn() -> f64,
}

impl Pace {
    pub(super) fn pause(&self) -> Duration {
        let between = self.max_delay.saturating_sub(self.min_delay);
        self.min_delay + between.mul_f64((self.random)().clamp(0.0, 1.0))
    }

    pub(super) fn retry(&self, failures: u32) -> Duration {
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.min(16)));
        let most = doubled.min(self.max_delay);
        most.mul_f64(0.5 + 0.5 * (self.random)().clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_spread_and_failures_back_off_up_to_the_longest_pause() {
        let seconds = Duration::from_secs;
        let pace = |random| Pace { min_delay: seconds(30), max_delay: seconds(60), random };
        let (least, middle, most) = (pace(|| 0.0), pace(|| 0.5), pace(|| 1.0));
        assert_eq!((least.pause(), middle.pause()), (seconds(30), seconds(45)));
        assert_eq!(most.pause(), seconds(60));
        let retries: Vec<_> = [0, 1, 2, 6, 7, 1_000].map(|n| most.retry(n)).to_vec();
        let expected = [500, 1_000, 2_000, 32_000, 60_000, 60_000].map(Duration::from_millis);
        assert_eq!(retries, expected);
        assert_eq!(least.retry(2), seconds(1), "half of it at least");
        // A configuration with the two exchanged neither asks without pause nor panics.
        let odd = Pace { min_delay: seconds(5), max_delay: seconds(1), random: || f64::MAX };
        assert_eq!((odd.pause(), odd.retry(9)), (seconds(5), seconds(1)));
    }
}
