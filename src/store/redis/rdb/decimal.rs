//! Numbers as Redis writes them: integers to text without allocating, scores from and to text.

/// A signed integer as decimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// The digits of `number`.
    pub fn of(number: i64) -> Self {
        let mut decimal = Self { digits: [0; 20], start: 20 };
        let mut rest = number.unsigned_abs();
        loop {
            decimal.start -= 1;
            decimal.digits[decimal.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            decimal.start -= 1;
            decimal.digits[decimal.start] = b'-';
        }
        decimal
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// A sorted set's score from its text, as packed encodings hold it; `None` if it is not one.
pub fn score(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let score: f64 = text.parse().ok()?;
    (!score.is_nan()).then_some(score)
}

/// A score as commands take it: the shortest text that reads back as the same number.
pub fn score_text(score: f64) -> String {
    if score == f64::INFINITY {
        "+inf".to_owned()
    } else if score == f64::NEG_INFINITY {
        "-inf".to_owned()
    } else {
        format!("{score:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, score, score_text};

    #[test]
    fn integers_are_written_as_rust_writes_them() {
        for number in [0, 1, -1, 9, 10, -10, i64::MAX, i64::MIN, 1_234_567_890] {
            assert_eq!(Decimal::of(number).text(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn scores_survive_text() {
        for number in [0.0, -0.0, 1.5, 1e300, -2.5e-300, f64::INFINITY, f64::NEG_INFINITY] {
            let back = score(score_text(number).as_bytes()).unwrap();
            assert_eq!(back.to_bits(), number.to_bits());
        }
        assert_eq!(score(b"nan"), None);
        assert_eq!(score(b""), None);
    }
}
