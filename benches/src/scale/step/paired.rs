//! One figure, measured in both databases round by round.

/// The figures of the rounds, small and large.
#[derive(Debug, Clone, Default)]
pub(super) struct Paired {
    small: Vec<f64>,
    large: Vec<f64>,
}

impl Paired {
    /// Adds a round.
    pub(super) fn record(&mut self, small: f64, large: f64) {
        self.small.push(small);
        self.large.push(large);
    }

    /// The median of the small database.
    pub(super) fn small(&self) -> f64 {
        median(&self.small)
    }

    /// The median of the large one.
    pub(super) fn large(&self) -> f64 {
        median(&self.large)
    }

    /// The median of the ratios of the rounds, large over small: each was measured within seconds.
    pub(super) fn ratio(&self) -> f64 {
        median(&self.small.iter().zip(&self.large).map(|(small, large)| large / small).collect::<Vec<_>>())
    }

    /// The same for a rate, whose cost is its inverse: small over large.
    pub(super) fn cost_ratio(&self) -> f64 {
        median(&self.small.iter().zip(&self.large).map(|(small, large)| small / large).collect::<Vec<_>>())
    }
}

/// The median; not a number when there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => sorted[middle],
        (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_moves_neither_the_medians_nor_the_ratio() {
        let mut paired = Paired::default();
        for (small, large) in [(100.0, 110.0), (9_000.0, 100.0), (200.0, 220.0), (100.0, 110.0), (100.0, 9_000.0)] {
            paired.record(small, large);
        }
        assert_eq!((paired.small(), paired.large()), (100.0, 110.0));
        assert!((paired.ratio() - 1.1).abs() < 1e-9, "{}", paired.ratio());
        assert!((paired.cost_ratio() - 1.0 / 1.1).abs() < 1e-9, "{}", paired.cost_ratio());
    }

    #[test]
    fn an_even_number_has_the_middle_of_two_and_none_has_none() {
        assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }
}
