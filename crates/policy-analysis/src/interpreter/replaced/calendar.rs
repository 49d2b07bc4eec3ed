//! `time.add_date`, which counts as Go does: 31 January and one month is 3 March.

use regorus::Value;

use super::function::{Outcome, Unsupported};

const NAME: &str = "time.add_date";
const NANOS_OF_DAY: i128 = 86_400_000_000_000;
/// Of years, months or days: far beyond what 64 bits of nanoseconds hold.
const MAX_STEP: i64 = 1_000_000;

pub(super) fn add_date(args: &[Value]) -> Outcome {
    let [moment, years, months, days] = args else { return Err(Unsupported::argument(NAME)) };
    let moment = i128::from(whole(moment)?);
    let (years, months, days) = (step(years)?, step(months)?, step(days)?);
    let day = i64::try_from(moment.div_euclid(NANOS_OF_DAY));
    let day = day.map_err(|_| Unsupported::argument(NAME))?;
    let (year, month, of_month) = civil(day);
    let months = (year + years) * 12 + (month - 1) + months;
    // Days beyond the end of the month run on into the next.
    let day = day_of(months.div_euclid(12), months.rem_euclid(12) + 1) + of_month - 1 + days;
    let nanos = i128::from(day) * NANOS_OF_DAY + moment.rem_euclid(NANOS_OF_DAY);
    i64::try_from(nanos).map(Value::from).map_err(|_| Unsupported::argument(NAME))
}

/// In UTC: OPA takes `[ns, zone]` too, whose days are others.
fn whole(value: &Value) -> Result<i64, Unsupported> {
    let Value::Number(number) = value else { return Err(Unsupported::argument(NAME)) };
    number.as_i64().ok_or_else(|| Unsupported::argument(NAME))
}

fn step(value: &Value) -> Result<i64, Unsupported> {
    let step = whole(value)?;
    if step.abs() > MAX_STEP { Err(Unsupported::argument(NAME)) } else { Ok(step) }
}

/// Year, month and day of the month of a day counted from 1970, in the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The first day of a month, counted from 1970.
fn day_of(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
