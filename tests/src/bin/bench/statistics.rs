//! Medians, and numbers as they are written.

use std::time::Duration;

/// The value that half of `values` do not exceed; 0 for none.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The smallest value that `percent` of `values` do not exceed; 0 for none.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// In milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A number with a space between thousands, as in `100 000`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{grouped, median, percentile};

    #[test]
    fn thousands_are_separated() {
        assert_eq!([60, 1000, 100_000].map(grouped), ["60", "1 000", "100 000"]);
    }

    #[test]
    fn half_of_the_values_do_not_exceed_the_median() {
        assert_eq!(
            [median(&[]), median(&[7.0]), median(&[9.0, 1.0, 5.0])].map(f64::to_bits),
            [0.0, 7.0, 5.0].map(f64::to_bits)
        );
    }

    #[test]
    fn nine_of_ten_do_not_exceed_the_ninetieth_percentile() {
        let values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 90).to_bits(), 9.0f64.to_bits());
    }
}
