//! Numbers as text: decimals of up to 30 digits, and floats as Postgres prints them. Touches nothing
//! but the bytes that it is given.

use std::io::Write;

use crate::store::shape::Digits;

/// A decimal number: `units` times ten to the minus `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) units: i128,
    pub(crate) scale: u16,
    /// Digits in all, leading zeros too.
    pub(crate) digits: u32,
}

impl Decimal {
    /// Reads `-12.50`; no exponent, at most 30 digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len() + fraction.len();
        let pointless = digits.contains('.') && fraction.is_empty();
        if whole.is_empty() || pointless || count > 30 {
            return None;
        }
        let mut units = 0i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            units = units * 10 + i128::from(byte - b'0');
        }
        let units = if negative { -units } else { units };
        Some(Self { units, scale: fraction.len() as u16, digits: count as u32 })
    }

    /// Whether a place of so many digits holds it.
    pub(crate) fn fits(&self, digits: Digits) -> bool {
        self.scale == digits.scale
            && 10u128
                .checked_pow(u32::from(digits.precision))
                .is_none_or(|end| self.units.unsigned_abs() < end)
    }

    /// Writes it with its scale.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        let magnitude = self.units.unsigned_abs();
        if self.units < 0 {
            out.push(b'-');
        }
        if let (Ok(magnitude), Some(unit)) =
            (u64::try_from(magnitude), 10u64.checked_pow(u32::from(self.scale)))
        {
            push_digits(magnitude / unit, 1, out);
            if self.scale > 0 {
                out.push(b'.');
                push_digits(magnitude % unit, usize::from(self.scale), out);
            }
            return;
        }
        let unit = 10u128.saturating_pow(u32::from(self.scale));
        // Writing to a Vec cannot fail.
        let written = if self.scale == 0 {
            write!(out, "{magnitude}")
        } else {
            let (whole, fraction) = (magnitude / unit, magnitude % unit);
            write!(out, "{whole}.{fraction:0width$}", width = usize::from(self.scale))
        };
        debug_assert!(written.is_ok());
    }

    /// The same number with `scale` digits after the point, if none but zeros get lost.
    pub(crate) fn rescaled(mut self, scale: u16) -> Option<String> {
        while self.scale < scale {
            self.units = self.units.checked_mul(10)?;
            self.scale += 1;
        }
        while self.scale > scale {
            if self.units % 10 != 0 {
                return None;
            }
            self.units /= 10;
            self.scale -= 1;
        }
        let mut out = Vec::new();
        self.push(&mut out);
        String::from_utf8(out).ok()
    }
}

/// Writes a number with at least `width` digits.
pub(crate) fn push_digits(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width.min(20))..]);
}

/// The greatest signed number of `bits` bits.
pub(crate) fn greatest(bits: u8) -> i128 {
    match bits {
        0..=127 => (1i128 << (bits.max(1) - 1)) - 1,
        _ => i128::MAX,
    }
}

/// Whether `text` is a whole number in the form that Postgres prints, of at most `bits` bits.
pub(crate) fn integer_fits(text: &str, bits: u8) -> bool {
    text.parse::<i128>().is_ok_and(|value| {
        value <= greatest(bits) && value >= -greatest(bits) - 1 && value.to_string() == text
    })
}

/// Writes a float as Postgres does with `extra_float_digits` above 0: the shortest digits that
/// read back as the same number, with an exponent below -4 or from 15 (6 for `real`) on
/// (`src/common/d2s.c` and `f2s.c`, `double_to_shortest_decimal_bufn`).
pub(crate) fn push_float(value: f64, single: bool, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    let text = if single { format!("{:e}", value as f32) } else { format!("{value:e}") };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let limit = if single { 6 } else { 15 };
    out.extend_from_slice(sign.as_bytes());
    if (-4..limit).contains(&exponent) {
        let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
        push_fixed(&digits, exponent, out);
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{mantissa}e{sign}{:02}", exponent.abs()).as_bytes());
    }
}

fn push_fixed(digits: &str, exponent: i32, out: &mut Vec<u8>) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        return out.extend_from_slice(digits.as_bytes());
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.extend_from_slice(digits.as_bytes());
        out.extend(std::iter::repeat_n(b'0', whole - digits.len()));
    } else {
        out.extend_from_slice(&digits.as_bytes()[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits.as_bytes()[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_postgres_prints_them() {
        // What `SELECT x::float8` and `x::float4` print in PostgreSQL 15.
        let table = [
            (0.0, "0", "0"),
            (1.0, "1", "1"),
            (-1.5, "-1.5", "-1.5"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (123456.0, "123456", "123456"),
            (1234567.0, "1234567", "1.234567e+06"),
            (1e14, "100000000000000", "1e+14"),
            (1e15, "1e+15", "1e+15"),
            (0.1, "0.1", "0.1"),
            (123.25, "123.25", "123.25"),
        ];
        for (value, double, single) in table {
            for (expected, is_single) in [(double, false), (single, true)] {
                let mut out = Vec::new();
                push_float(value, is_single, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        for text in ["0", "-12.50", "0.05", "-0.5", "100"] {
            let mut out = Vec::new();
            Decimal::parse(text).unwrap().push(&mut out);
            assert_eq!(out, text.as_bytes());
        }
        assert_eq!(Decimal::parse("5").unwrap().rescaled(2).unwrap(), "5.00");
        assert_eq!(Decimal::parse("5.50").unwrap().rescaled(1).unwrap(), "5.5");
        assert!(Decimal::parse("5.55").unwrap().rescaled(1).is_none());
        for text in ["", "-", ".5", "5.", "1e5", "NaN", "1 "] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }
}
