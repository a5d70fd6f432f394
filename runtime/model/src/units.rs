//! Durations and sizes as they are written in a configuration: a whole number and a unit.

use std::fmt;
use std::time::Duration;

use crate::problem::Complaint;

/// A duration such as `250ms`, `5s`, `1m`, `2h`, `1d`; at most 36500d, so that adding it to the
/// present never overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan(pub Duration);

/// A number of bytes such as `512B`, `64KiB`, `10MiB`, `1GiB` (powers of 1024) or `64KB`, `10MB`,
/// `1GB` (powers of 1000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// Why a text is not a [`TimeSpan`] or a [`ByteSize`]; says what a right one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, {hint}")]
pub struct InvalidUnit {
    message: &'static str,
    hint: &'static str,
}

const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Longest unit first: `Display` takes the first one that divides.
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl TimeSpan {
    pub fn parse(text: &str) -> Result<TimeSpan, InvalidUnit> {
        let milliseconds = scaled(text, &TIME_UNITS).map_err(|fault| InvalidUnit {
            message: match fault {
                Fault::NoUnit => "a duration needs a unit",
                Fault::Malformed => "not a duration",
                Fault::TooLarge => "the duration is too long",
            },
            hint: match fault {
                Fault::TooLarge => "the longest one is \"36500d\"",
                _ => "write a whole number and one of ms, s, m, h, d, as in \"250ms\" or \"5s\"",
            },
        })?;
        let duration = Duration::from_millis(milliseconds);
        if duration > LONGEST {
            return Err(InvalidUnit { message: "the duration is too long", hint: "the longest one is \"36500d\"" });
        }
        Ok(TimeSpan(duration))
    }
}

impl ByteSize {
    pub fn parse(text: &str) -> Result<ByteSize, InvalidUnit> {
        scaled(text, &SIZE_UNITS).map(ByteSize).map_err(|fault| InvalidUnit {
            message: match fault {
                Fault::NoUnit => "a size needs a unit",
                Fault::Malformed => "not a size",
                Fault::TooLarge => "the size is too large",
            },
            hint: "write a whole number and one of B, KiB, MiB, GiB (or KB, MB, GB), as in \"64KiB\" or \"10MiB\"",
        })
    }
}

enum Fault {
    NoUnit,
    Malformed,
    TooLarge,
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(Fault::Malformed);
    }
    if unit.is_empty() {
        return Err(Fault::NoUnit);
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(Fault::Malformed)?;
    let number: u64 = number.parse().map_err(|_| Fault::TooLarge)?;
    number.checked_mul(*factor).ok_or(Fault::TooLarge)
}

fn write_scaled(f: &mut fmt::Formatter<'_>, amount: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    match units.iter().find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor)) {
        Some((unit, factor)) => write!(f, "{}{unit}", amount / factor),
        None => f.write_str(zero),
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &TIME_UNITS, "0s")
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, &SIZE_UNITS, "0B")
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = InvalidUnit;
    fn try_from(text: String) -> Result<TimeSpan, InvalidUnit> {
        TimeSpan::parse(&text)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = InvalidUnit;
    fn try_from(text: String) -> Result<ByteSize, InvalidUnit> {
        ByteSize::parse(&text)
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> String {
        span.to_string()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> String {
        size.to_string()
    }
}

impl From<InvalidUnit> for Complaint {
    fn from(error: InvalidUnit) -> Complaint {
        Complaint::new(error.message, error.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, milliseconds) in
            [("250ms", 250), ("5s", 5_000), ("1m", 60_000), ("2h", 7_200_000), ("1d", 86_400_000), ("0s", 0)]
        {
            let span = TimeSpan::parse(text).expect(text);
            assert_eq!(span.0, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(TimeSpan::parse("90s").expect("90s").to_string(), "90s");
    }

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("10MiB", 10 << 20),
            ("1GiB", 1 << 30),
            ("5KB", 5_000),
            ("3MB", 3_000_000),
        ] {
            let size = ByteSize::parse(text).expect(text);
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), text);
        }
    }

    #[test]
    fn what_is_refused_says_what_would_be_right() {
        for text in ["5", "", "s", "5 s", "1.5s", "-1s", "5S", "5sec", "1h30m", "99999999999999999999s", "40000d"] {
            let error = TimeSpan::parse(text).expect_err(text).to_string();
            assert!(error.contains("\"5s\"") || error.contains("36500d"), "{text}: {error}");
        }
        for text in ["10", "MiB", "10mib", "10 MiB", "1.5MiB", "20000000TiB"] {
            let error = ByteSize::parse(text).expect_err(text).to_string();
            assert!(error.contains("\"10MiB\""), "{text}: {error}");
        }
        assert!(serde_json::from_str::<TimeSpan>("5").is_err());
        assert_eq!(serde_json::from_str::<TimeSpan>("\"5s\"").expect("5s").0, Duration::from_secs(5));
    }
}
