//! Dates and times as ISO text, in the proleptic Gregorian calendar that Postgres counts in. Called
//! by the transformer `date_shift` and by literals.

use super::Form;

/// The last day of the year 294275, which every type of Postgres still holds.
pub(crate) const LAST_DAY: i64 = 106_762_573;

/// What Postgres writes behind a date before Christ.
pub(crate) const ANTIQUITY: &str = " BC";

/// An ISO date, and what follows it.
pub(crate) struct Moment<'a> {
    /// Days since 1970 as written.
    pub(crate) day: i64,
    /// Days since 1970 in UTC.
    pub(crate) utc_day: i64,
    /// Time and zone, as written.
    pub(crate) rest: &'a str,
    /// Whether the year counts backwards from Christ.
    pub(crate) antique: bool,
    /// Whether there is a time.
    pub(crate) timed: bool,
    /// Whether there is a zone.
    pub(crate) zoned: bool,
}

impl<'a> Moment<'a> {
    /// Reads `2026-11-21`, with a time, a zone and an era if there are any.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
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
pub(crate) fn canonical(text: &str, form: Form) -> Option<String> {
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
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
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
