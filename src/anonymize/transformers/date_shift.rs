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
use crate::anonymize::forms::date::{ANTIQUITY, LAST_DAY, Moment, civil};
use crate::anonymize::forms::number::push_digits;
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

/// Values without a day of their own, or of antiquity, stay. A text may end in `BC` for many
/// reasons: it must be a date altogether.
fn stays(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
        || (text.ends_with(ANTIQUITY) && Moment::parse(text).is_some())
}

#[cfg(test)]
mod tests {
    use super::stays;

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
}
