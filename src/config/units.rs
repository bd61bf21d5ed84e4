//! Durations (`30d`, `1h30m`) and rates (`200MiB/s`).

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const DURATION: &str = "a duration such as `60s`, `5m`, `6h`, `8d` or `2w`";

/// What a rate looks like, for messages.
pub(crate) const RATE: &str = "a rate such as `200MiB/s` or `1GB/s`";

/// The longest duration: a hundred years. Everything after it can be added to a time safely.
const LONGEST: u64 = 36_525 * 86_400;

/// Reads a duration: whole numbers with a unit (`s`, `m`inutes, `h`, `d`, `w`), larger units
/// first. A number without a unit, a negative one and anything above a hundred years are refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut rest = text;
    let mut last = u64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (seconds <= LONGEST).then(|| Duration::from_secs(seconds))
}

/// Reads a size in bytes: a whole number with `B`, `KB`, `MB`, `GB`, `TB` (powers of 1000) or
/// `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024).
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let factor: u64 = match text[digits..].trim_start() {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Reads a rate in bytes per second: a size followed by `/s`.
pub fn parse_rate(text: &str) -> Option<u64> {
    parse_size(text.strip_suffix("/s")?.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("60s", 60),
            ("5m", 300),
            ("6h", 21_600),
            ("8d", 691_200),
            ("366d", 31_622_400),
            ("2w", 1_209_600),
            ("1h30m", 5_400),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "5", "d", "-1d", "1.5h", "5 m", "5M", "1y", "1mo", "30m1h", "1h1h", "99999999999d"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_duration("99999999999999999999s"), None);
        assert_eq!(parse_duration("1é"), None);
    }

    #[test]
    fn sizes_and_rates() {
        assert_eq!(parse_rate("200MiB/s"), Some(200 << 20));
        assert_eq!(parse_rate("1 GB/s"), Some(1_000_000_000));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        for bad in ["", "200", "200MiB", "200M/s", "-1MiB/s", "1.5GB/s", "99999999999TiB/s", "é/s"]
        {
            assert_eq!(parse_rate(bad), None, "{bad}");
        }
    }
}
