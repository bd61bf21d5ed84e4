//! `date_shift`: another day, some days away; the time of day stays.
//!
//! With `by` all moments of one record move by the same days, so their order and the time between
//! them stay. Without, the shift depends on the UTC day of the original (and the key and the
//! domain): moments of one day move together and keep their order, those of different days do
//! not.

use std::fmt::Write as _;

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Parameter, ParameterKind,
    Transformer, Uniqueness, Value, Wrote,
};
use super::number::push_digits;
use crate::anonymize::pseudonym::Draw;

const DAY_MILLIS: i64 = 86_400_000;
const NO_DATE: Mismatch = Mismatch("it is not an ISO date or time");

pub(super) const DEFINITION: Definition = Definition {
    name: "date_shift",
    aliases: &[],
    summary: "a day up to `days` earlier or later, never the same; by = FIELD: all of one record alike",
    preserves: "type, format, time of day, infinity, null and empty; with `by` order and intervals",
    accepts: "date, timestamp, timestamptz, MongoDB dates, text that holds ISO dates or times",
    parameters: &[Parameter {
        name: "days",
        kind: ParameterKind::Integer,
        default: "30",
        summary: "the most days to move, 1 to 36500",
    }],
    example: "born = { use = \"date_shift\", days = 90, by = \"person_id\" }",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Shift,
    unique: Uniqueness::Never,
};

fn build(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    Ok(Box::new(DateShift { days: arguments.integer("days", 30, 1..=36_500)? }))
}

struct DateShift {
    days: i64,
}

impl DateShift {
    fn shift(&self, value: &Value<'_>) -> i64 {
        let mut draw = Draw::new(value.digest);
        let days = 1 + draw.below(self.days as u64) as i64;
        if draw.below(2) == 0 { days } else { -days }
    }
}

impl Transformer for DateShift {
    fn accepts(&self, form: Form) -> bool {
        use Form::{Date, Millis, Text, Timestamp, Timestamptz};
        matches!(form, Date | Timestamp | Timestamptz | Millis | Text)
    }

    fn longest(&self) -> Length {
        Length::Same
    }

    /// The number of the UTC day.
    fn normalize<'a>(
        &self,
        text: &'a str,
        form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        if stays(text) {
            return Ok(text);
        }
        let day = if form == Form::Millis {
            text.parse::<i64>().map_err(|_| NO_DATE)?.div_euclid(DAY_MILLIS)
        } else {
            Moment::parse(text).ok_or(NO_DATE)?.utc_day
        };
        scratch.clear();
        write!(scratch, "{day}").map_err(|_| NO_DATE)?;
        Ok(scratch)
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        use std::io::Write;
        if stays(value.text) {
            out.extend_from_slice(value.text.as_bytes());
            return Ok(Wrote::Same);
        }
        if value.form == Form::Millis {
            let millis: i64 = value.text.parse().map_err(|_| NO_DATE)?;
            let new = millis.checked_add(self.shift(value) * DAY_MILLIS).ok_or(TOO_FAR)?;
            write!(out, "{new}").map_err(|_| NO_DATE)?;
            return Ok(Wrote::Same);
        }
        if !self.accepts(value.form) {
            return Err(NO_DATE);
        }
        let moment = Moment::parse(value.text).ok_or(NO_DATE)?;
        // The year must keep its digits and not become one before Christ.
        let mut shift = self.shift(value);
        let grows = |year: i64| year < 1 || (year > 9999 && civil(moment.day).0 <= 9999);
        if grows(civil(moment.day + shift).0) || moment.day + shift > LAST_DAY {
            shift = -shift;
        }
        let (year, month, day) = civil(moment.day + shift);
        for (index, (part, width)) in [(year, 4), (month, 2), (day, 2)].into_iter().enumerate() {
            if index > 0 {
                out.push(b'-');
            }
            push_digits(part.unsigned_abs(), width, out);
        }
        out.extend_from_slice(moment.rest.as_bytes());
        Ok(Wrote::Same)
    }

    /// A value that does not fit is a mismatch: moved by other days it would lose its order.
    fn write_drawn(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        use std::io::Write;
        if matches!(value.text, "infinity" | "-infinity") {
            out.extend_from_slice(value.text.as_bytes());
            return Ok(Wrote::Same);
        }
        let shift = self.shift(value);
        if value.form == Form::Millis {
            let millis: i64 = value.text.parse().map_err(|_| NO_DATE)?;
            let forever = means_no_day(millis.div_euclid(DAY_MILLIS));
            let shift = if forever { 0 } else { shift * DAY_MILLIS };
            let new = millis.checked_add(shift).ok_or(TOO_FAR)?;
            write!(out, "{new}").map_err(|_| NO_DATE)?;
            return Ok(Wrote::Same);
        }
        if !self.accepts(value.form) {
            return Err(NO_DATE);
        }
        let moment = Moment::parse(value.text).ok_or(NO_DATE)?;
        let day = if means_no_day(moment.day) { moment.day } else { moment.day + shift };
        let (old, (year, month, date)) = (civil(moment.day).0, civil(day));
        let grows = (old < 1) != (year < 1) || (old <= 9999 && year > 9999) || day > LAST_DAY;
        if grows {
            return Err(TOO_FAR);
        }
        let (year, era) = if year < 1 { (1 - year, ANTIQUITY) } else { (year, "") };
        write!(out, "{year:04}-{month:02}-{date:02}{}{era}", moment.rest).map_err(|_| NO_DATE)?;
        Ok(Wrote::Same)
    }
}

const TOO_FAR: Mismatch = Mismatch("it is too far from today");

/// The first and the last year that four digits write stand for "never" and "for ever". Moved,
/// such a day would show by how much all other days of the record were moved.
fn means_no_day(day: i64) -> bool {
    matches!(civil(day).0, 1 | 9999)
}

/// The last day of the year 294275, which every type of Postgres still holds.
const LAST_DAY: i64 = 106_762_573;

/// What Postgres writes behind a date before Christ.
const ANTIQUITY: &str = " BC";

/// Values without a day of their own, or of antiquity, stay. A text may end in `BC` for many
/// reasons: it must be a date altogether.
fn stays(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
        || (text.ends_with(ANTIQUITY) && Moment::parse(text).is_some())
}

/// An ISO date, and what follows it.
struct Moment<'a> {
    /// Days since 1970 as written.
    day: i64,
    /// Days since 1970 in UTC.
    utc_day: i64,
    /// Time and zone, as written.
    rest: &'a str,
    /// Whether the year counts backwards from Christ.
    antique: bool,
    /// Whether there is a time.
    timed: bool,
    /// Whether there is a zone.
    zoned: bool,
}

impl<'a> Moment<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (text, antique) = match text.strip_suffix(ANTIQUITY) {
            Some(date) => (date, true),
            None => (text, false),
        };
        let mut parts = text.splitn(3, '-');
        let (year, month, tail) = (parts.next()?, parts.next()?, parts.next()?);
        if !(4..=6).contains(&year.len()) || month.len() != 2 || !tail.is_char_boundary(2) {
            return None;
        }
        let (day, rest) = tail.split_at_checked(2)?;
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        if year < 1 {
            return None;
        }
        // The calendar counts a year 0, which is 1 BC and a leap year.
        let year = if antique { 1 - year } else { year };
        let days = days_from_civil(year, month, day);
        if civil(days) != (year, month, day) || days > LAST_DAY {
            return None;
        }
        let Some(clock) = rest.strip_prefix([' ', 'T']) else {
            return rest.is_empty().then_some(Self {
                day: days,
                utc_day: days,
                rest,
                antique,
                timed: false,
                zoned: false,
            });
        };
        let (seconds, zone) = clock_seconds(clock)?;
        let offset = zone_seconds(zone)?;
        let utc_day = days + (seconds - offset.unwrap_or(0)).div_euclid(86_400);
        Some(Self { day: days, utc_day, rest, antique, timed: true, zoned: offset.is_some() })
    }
}

/// A date or time as Postgres prints it in a place of `form`, if it can be read as one.
pub(super) fn canonical(text: &str, form: Form) -> Option<String> {
    if matches!(text, "infinity" | "-infinity") {
        return Some(text.to_owned());
    }
    let moment = Moment::parse(text)?;
    let (year, month, day) = civil(moment.day);
    let (year, era) = if moment.antique { (1 - year, ANTIQUITY) } else { (year, "") };
    let date = format!("{year:04}-{month:02}-{day:02}");
    let (clock, zone) = match moment.rest.get(1..) {
        Some(rest) => rest.split_at(rest.find(['+', '-', 'Z']).unwrap_or(rest.len())),
        None => ("00:00:00", ""),
    };
    match form {
        Form::Date => (!moment.timed).then(|| format!("{date}{era}")),
        Form::Timestamp => (!moment.zoned).then(|| format!("{date} {clock}{era}")),
        Form::Timestamptz if matches!(zone, "" | "Z" | "+00") => {
            Some(format!("{date} {clock}+00{era}"))
        }
        _ => None,
    }
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Seconds of `hh:mm[:ss[.f]]` and what follows.
fn clock_seconds(text: &str) -> Option<(i64, &str)> {
    let end = text.find(['+', '-', 'Z']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    number(fraction)?;
    let mut parts = clock.split(':');
    let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let seconds = parts.next().map_or(Some(0), number)?;
    let fits = hours <= 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
    fits.then_some((hours * 3600 + minutes * 60 + seconds, zone))
}

/// Seconds east of Greenwich of ``, `Z`, `±hh`, `±hhmm`, `±hh:mm`, `±hh:mm:ss`.
fn zone_seconds(zone: &str) -> Option<Option<i64>> {
    if zone.is_empty() {
        return Some(None);
    }
    if zone == "Z" {
        return Some(Some(0));
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let sign = match sign {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in rest.split(':') {
        match part.len() {
            2 => seconds += number(part)? * unit,
            4 if unit == 3600 => {
                let (hours, minutes) = part.split_at_checked(2)?;
                seconds = number(hours)? * 3600 + number(minutes)? * 60;
            }
            _ => return None,
        }
        unit /= 60;
        if unit == 0 && rest.len() > 8 {
            return None;
        }
    }
    Some(Some(sign * seconds))
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar (H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9).rem_euclid(12);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year, month and day of a number of days since 1970-01-01 (the same, `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        assert_eq!(civil(LAST_DAY), (294_275, 12, 31));
        for day in (-800_000..800_000).step_by(37) {
            let (year, month, date) = civil(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }

    #[test]
    fn the_utc_day_is_found() {
        let day = |text: &str| Moment::parse(text).map(|moment| moment.utc_day);
        assert_eq!(day("1970-01-02"), Some(1));
        assert_eq!(day("1970-01-02 00:30:00+01"), Some(0));
        assert_eq!(day("1970-01-01T23:30:00.25-01:00"), Some(1));
        assert_eq!(day("1970-01-02T00:00Z"), Some(1));
        for text in ["1970-1-2", "1970-02-30", "x", "1970-01-02 at noon", "1970-01-02 12", "", "é-"]
        {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn only_whole_dates_of_antiquity_stay() {
        for text in [
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "4714-11-24 00:00:00 BC",
            "0044-03-15 12:30:00.25+00:53:28 BC",
            // 1 BC and 5 BC are leap years.
            "0001-02-29 BC",
            "0005-02-29 BC",
        ] {
            assert!(stays(text), "{text}");
        }
        for text in [
            "12 March 1980, Victoria BC",
            "1980-03-12, Victoria BC",
            "1980-03-12 Victoria BC",
            "1980-03-12 10:00 Victoria BC",
            "1980-03-12 BC BC",
            "1980-03-12  BC",
            "1980-03-12BC",
            "1980-03-12 bc",
            "1980-03-12 BC ",
            "0000-03-12 BC",
            "0004-02-29 BC",
            " BC",
            "BC",
            "Infinity",
            "infinity ",
            "infinity BC",
            "+infinity",
        ] {
            assert!(!stays(text), "{text}");
        }
    }

    #[test]
    fn literals_become_what_postgres_prints() {
        let of = |text, form| canonical(text, form);
        assert_eq!(of("2020-01-01", Form::Timestamp).unwrap(), "2020-01-01 00:00:00");
        assert_eq!(
            of("2020-01-01T10:00:00Z", Form::Timestamptz).unwrap(),
            "2020-01-01 10:00:00+00"
        );
        assert_eq!(of("2020-01-01 10:00:00", Form::Date), None);
        assert_eq!(of("0044-03-15 BC", Form::Date).unwrap(), "0044-03-15 BC");
        assert_eq!(of("0044-03-15 BC", Form::Timestamptz).unwrap(), "0044-03-15 00:00:00+00 BC");
        assert_eq!(of("0044-03-15 10:00:00 BC", Form::Date), None);
        assert_eq!(of("Victoria BC", Form::Timestamp), None);
    }
}
