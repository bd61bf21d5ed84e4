//! Cron expressions: five fields, checked when the configuration is loaded.

use super::reader::Reader;
use crate::error::Result;
use std::fmt;

/// What a schedule looks like, for messages.
pub(crate) const CRON: &str = "a cron expression of five fields, such as `0 2 * * *`";

/// A checked cron expression: minute, hour, day of month, month, day of week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron(String);

impl Cron {
    /// The expression, its fields one space apart.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads and checks an expression. Lists, ranges, steps and the English short names of months
    /// and days are known; `@daily` and fields for seconds or years are not. An expression that
    /// never comes true (30 February) is refused. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!("it has {} fields instead of five", fields.len()));
        };
        parse_field(minute, "minute", 0, 59, &[])?;
        parse_field(hour, "hour", 0, 23, &[])?;
        let days = parse_field(day, "day of month", 1, 31, &[])?;
        let months = parse_field(month, "month", 1, 12, &MONTHS)?;
        parse_field(weekday, "day of week", 0, 7, &WEEKDAYS)?;
        let reachable = (1..=12_u32)
            .filter(|month| months & (1 << month) != 0)
            .any(|month| days & ((2_u64 << LONGEST_DAY[month as usize - 1]) - 1) != 0);
        if !reachable && *weekday == "*" {
            return Err("it names a day that its months do not have".to_owned());
        }
        Ok(Self(fields.join(" ")))
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const LONGEST_DAY: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The values of a field as bits; `names` stand for `low` and up.
fn parse_field(
    field: &str,
    what: &str,
    low: u32,
    high: u32,
    names: &[&str],
) -> Result<u64, String> {
    let bad = || format!("its {what} field is wrong; it goes from {low} to {high}");
    let value = |text: &str| -> Result<u32, String> {
        if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return u32::try_from(at).map(|at| at + low).map_err(|_| bad());
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten().ok_or_else(bad)?;
        if (low..=high).contains(&number) { Ok(number) } else { Err(bad()) }
    };
    let mut bits = 0_u64;
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (value(first)?, value(last)?),
            None => {
                let first = value(range)?;
                (first, if step.is_some() { high } else { first })
            }
        };
        let step = match step {
            None => 1,
            Some(step) => step
                .parse::<usize>()
                .ok()
                .filter(|step| (1..=high as usize).contains(step))
                .ok_or_else(bad)?,
        };
        if first > last {
            return Err(format!("its {what} field has a range that runs backwards"));
        }
        (first..=last).step_by(step).for_each(|value| bits |= 1 << value);
    }
    Ok(bits)
}

/// A cron expression at `path`.
pub(crate) fn at(reader: Reader<'_>, path: &str) -> Result<Option<Cron>> {
    let Some(text) = reader.parsed(path, CRON, |text| Some(text.to_owned()))? else {
        return Ok(None);
    };
    Cron::parse(&text)
        .map(Some)
        .map_err(|why| reader.wrong(path, CRON).because(why).hint("for example `30 5 * * mon-fri`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for good in [
            "0 2 * * *",
            "0 4 * * 0",
            "30 5 * * *",
            "0 7 1 */3 *",
            "*/15 0-6,22,23 1-15/2 jan-mar,DEC MON-fri",
            "0 0 29 2 *",
            "0 0 31 2 1",
            " 0  0 * * 7 ",
        ] {
            assert!(Cron::parse(good).is_ok(), "{good}: {:?}", Cron::parse(good));
        }
        assert_eq!(Cron::parse(" 0  0 * * 7 ").unwrap().as_str(), "0 0 * * 7");
        for bad in [
            "",
            "@daily",
            "0 2 * *",
            "0 0 2 * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "1, * * * *",
            "-1 * * * *",
            "+1 * * * *",
            "* * * mon *",
            "* * * * jan",
            "1-2-3 * * * *",
            "1/2/3 * * * *",
            "0 0 31 2 *",
            "0 0 30,31 feb *",
            "99999999999 * * * *",
        ] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }
}
