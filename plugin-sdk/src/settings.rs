//! Types for settings with units, so that every plugin's configuration reads alike.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A duration with a unit: `"250ms"`, `"5s"`, `"1m"`, `"2h"`, `"1d"`; at most `"36500d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Cow<str>")]
pub struct Interval(Duration);

/// A number of bytes with a unit: `"512B"`, `"64KiB"`, `"10MiB"`, `"1GiB"` (powers of 1024), `"64KB"`, `"10MB"`,
/// `"1GB"` (powers of 1000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Cow<str>")]
pub struct Size(u64);

impl Interval {
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Size {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Longest first: `Display` takes the first one that divides.
const INTERVALS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A century, in milliseconds: added to the present it never overflows.
const LONGEST: u64 = 36_500 * 86_400_000;

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl TryFrom<Cow<'_, str>> for Interval {
    type Error = String;

    fn try_from(text: Cow<'_, str>) -> Result<Self, String> {
        measure(&text, &INTERVALS)
            .filter(|millis| *millis <= LONGEST)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| format!("`{text}` is not a duration with a unit, such as `250ms`, `5s`, `1m`, `2h` or `1d`"))
    }
}

impl TryFrom<Cow<'_, str>> for Size {
    type Error = String;

    fn try_from(text: Cow<'_, str>) -> Result<Self, String> {
        measure(&text, &SIZES)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size with a unit, such as `512B`, `64KiB` or `10MiB`"))
    }
}

/// In the longest unit that needs no fraction.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        match INTERVALS.iter().find(|(_, factor)| millis > 0 && millis % factor == 0) {
            Some((unit, factor)) => write!(f, "{}{unit}", millis / factor),
            None => f.write_str("0s"),
        }
    }
}

fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl JsonSchema for Interval {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "a duration such as \"1m\"",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
        })
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "a size such as \"64KiB\"",
            "pattern": "^[0-9]+(B|KiB|MiB|GiB|KB|MB|GB)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        let interval = |text: &'static str| Interval::try_from(Cow::Borrowed(text)).map(|i| i.duration().as_millis());
        let size = |text: &'static str| Size::try_from(Cow::Borrowed(text)).map(Size::bytes);
        assert_eq!(interval("250ms"), Ok(250));
        assert_eq!(interval("1m"), Ok(60_000));
        assert_eq!(interval("1d"), Ok(86_400_000));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("7B"), Ok(7));
        assert_eq!(size("2KB"), Ok(2_000));
    }

    #[test]
    fn an_interval_is_written_in_its_longest_whole_unit() {
        for (text, written) in [("60s", "1m"), ("90m", "90m"), ("24h", "1d"), ("1500ms", "1500ms"), ("0ms", "0s")] {
            assert_eq!(
                Interval::try_from(Cow::Borrowed(text)).map(|interval| interval.to_string()).as_deref(),
                Ok(written)
            );
        }
    }

    #[test]
    fn a_number_without_a_unit_or_too_large_is_refused() {
        assert!(Interval::try_from(Cow::Borrowed("60")).is_err());
        assert!(Interval::try_from(Cow::Borrowed("ms")).is_err());
        assert!(Interval::try_from(Cow::Borrowed("18446744073709551615d")).is_err());
        assert!(Interval::try_from(Cow::Borrowed("36501d")).is_err());
        assert!(Size::try_from(Cow::Borrowed("1")).is_err());
        assert!(Size::try_from(Cow::Borrowed("1 MiB")).is_err());
    }
}
