//! Points in time as text, without a calendar crate.

use std::time::Duration;

/// `2026-01-31T23:59:59.123Z`, for the years 1970 to 9999; later ones read as the last moment.
pub fn rfc3339(since_epoch: Duration) -> [u8; 24] {
    let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX).min(LAST_MILLISECOND);
    let (days, of_day) = (millis / DAY, millis % DAY);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let fields = [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, of_day / 3_600_000),
        (14..16, of_day / 60_000 % 60),
        (17..19, of_day / 1_000 % 60),
        (20..23, of_day % 1_000),
    ];
    for (place, number) in fields {
        digits(&mut text[place], number);
    }
    text
}

const DAY: u64 = 86_400_000;

/// 9999-12-31T23:59:59.999Z.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

/// Days since 1970-01-01 → year, month, day in the Gregorian calendar. Counts in eras of 400 years
/// whose years start in March (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(millis: u64) -> String {
        String::from_utf8(rfc3339(Duration::from_millis(millis)).to_vec()).expect("ASCII")
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(text(1_709_251_200_000), "2024-03-01T00:00:00.000Z");
        assert_eq!(text(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(text(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
