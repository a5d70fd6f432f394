//! Values without structure of their own, and lists.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::kind;
use super::{Decode, Place, closest};
use crate::problem::{Complaint, Problem};
use crate::units::{ByteSize, TimeSpan};
use crate::{Name, Problems};

/// Reads a string with `parse`. `expected` says what the string is for: `a duration such as "5s"`.
pub fn text<T>(
    value: &Value,
    place: &Place<'_>,
    problems: &mut Problems,
    expected: &str,
    parse: impl FnOnce(&str) -> Result<T, Complaint>,
) -> Option<T> {
    let Some(text) = value.as_str() else {
        let example = format!("\"{}\"", expected.split('"').nth(1).unwrap_or("…"));
        problems.add(mismatch(value, place, expected, &example));
        return None;
    };
    parse(text).map_err(|complaint| problems.add(Problem::new(place, complaint))).ok()
}

/// Reads one of a few words.
pub fn one_of<T: Clone>(
    value: &Value,
    place: &Place<'_>,
    problems: &mut Problems,
    choices: &[(&'static str, T)],
) -> Option<T> {
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let expected = words.join(" or ");
    text(value, place, problems, &expected, |found| {
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == found) {
            return Ok(choice.clone());
        }
        let message = format!("expected {expected}");
        Err(match closest(found, choices.iter().map(|(word, _)| *word)) {
            Some(near) => Complaint::new(message, format!("did you mean \"{near}\"?")),
            None => Complaint::from(message),
        })
    })
}

/// Reads a list that must not be empty.
pub fn at_least_one<T: Decode>(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<T>> {
    let list = Vec::<T>::decode(value, place, problems)?;
    if list.is_empty() {
        problems.add(Problem::new(place, "the list is empty"));
        return None;
    }
    Some(list)
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<T>> {
        let Some(items) = value.as_array() else {
            let problem = mismatch(value, place, "a list", "[ … ]");
            problems.add(match (value, place) {
                (Value::Object(_), Place::Key(Place::Root, key)) if T::ITEM.starts_with('{') => {
                    problem.with_hint(format!("write [[{key}]], with two brackets"))
                }
                (Value::Object(_), _) if T::ITEM.starts_with('{') => problem.with_hint("put it in a list: [{ … }]"),
                (Value::String(_), _) => problem.with_hint(format!("write [{}]", T::ITEM)),
                _ => problem,
            });
            return None;
        };
        let decoded: Vec<T> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| T::decode(item, &place.index(index), problems))
            .collect();
        (decoded.len() == items.len()).then_some(decoded)
    }
}

/// Any text but the empty one, without control characters.
impl Decode for String {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<String> {
        text(value, place, problems, "a string", |text| match text {
            "" => Err("the string is empty".into()),
            text if text.contains(char::is_control) => Err("the string has control characters in it".into()),
            text => Ok(text.to_owned()),
        })
    }
}

impl Decode for bool {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<bool> {
        let decoded = value.as_bool();
        if decoded.is_none() {
            problems.add(mismatch(value, place, "true or false", "true"));
        }
        decoded
    }
}

macro_rules! decode_integer {
    ($($integer:ty),*) => {$(
        impl Decode for $integer {
            const ITEM: &'static str = "…";

            fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<$integer> {
                let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
                let decoded = number.and_then(|number| <$integer>::try_from(number).ok());
                if decoded.is_none() {
                    let range = format!("a whole number from {} to {}", <$integer>::MIN, <$integer>::MAX);
                    problems.add(match value {
                        Value::Number(_) => Problem::new(place, format!("expected {range}")),
                        _ => mismatch(value, place, &range, "10"),
                    });
                }
                decoded
            }
        }
    )*};
}

decode_integer!(u16, u32, u64, usize, i32, i64);

impl Decode for Map<String, Value> {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Map<String, Value>> {
        let table = value.as_object();
        if table.is_none() {
            problems.add(mismatch(value, place, "a table", "{ … }"));
        }
        table.cloned()
    }
}

impl Decode for Name {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Name> {
        text(value, place, problems, "a name", |text| Name::parse(text).map_err(|error| error.to_string().into()))
    }
}

impl Decode for PathBuf {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<PathBuf> {
        String::decode(value, place, problems).map(PathBuf::from)
    }
}

impl Decode for IpAddr {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<IpAddr> {
        text(value, place, problems, "an address", |text| {
            text.parse().map_err(|_| Complaint::new("not an address", "as in \"10.0.0.1\" or \"::1\""))
        })
    }
}

impl Decode for SocketAddr {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<SocketAddr> {
        text(value, place, problems, "an address and a port", |text| {
            text.parse().map_err(|_| {
                Complaint::new(
                    "not an address and a port",
                    "as in \"127.0.0.1:8000\", \"0.0.0.0:80\" or \"[::1]:8000\"",
                )
            })
        })
    }
}

impl Decode for TimeSpan {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<TimeSpan> {
        let expected = "a duration such as \"250ms\" or \"5s\"";
        if value.is_number() {
            let hint = format!("a duration has a unit, as in {}", place.assigned("\"30s\""));
            problems.add(mismatch(value, place, expected, "\"30s\"").with_hint(hint));
            return None;
        }
        text(value, place, problems, expected, |text| Ok(TimeSpan::parse(text)?))
    }
}

impl Decode for Duration {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Duration> {
        TimeSpan::decode(value, place, problems).map(|span| span.0)
    }
}

impl Decode for ByteSize {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<ByteSize> {
        let expected = "a size such as \"64KiB\" or \"10MiB\"";
        text(value, place, problems, expected, |text| Ok(ByteSize::parse(text)?))
    }
}

/// A duration that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositiveTime(pub Duration);

impl Decode for PositiveTime {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<PositiveTime> {
        let duration = Duration::decode(value, place, problems)?;
        if duration.is_zero() {
            problems.add(Problem::new(place, "must be longer than 0"));
            return None;
        }
        Some(PositiveTime(duration))
    }
}

/// Text that can be sent as the value of a header: 1 to 255 printable ASCII characters, no space at
/// either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(pub String);

impl Decode for HeaderText {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<HeaderText> {
        text(value, place, problems, "a string", |text| {
            let printable = text.bytes().all(|b| matches!(b, b' '..=b'~'));
            if text.is_empty() || text.len() > 255 || !printable || text.trim() != text {
                return Err(Complaint::new(
                    "can't be sent in a header",
                    "use 1 to 255 printable ASCII characters without spaces around them",
                ));
            }
            Ok(HeaderText(text.to_owned()))
        })
    }
}

/// A value of another kind than expected; `example` could stand there.
fn mismatch(value: &Value, place: &Place<'_>, expected: &str, example: &str) -> Problem {
    let how = match value {
        Value::String(_) if !example.starts_with(['[', '{']) => "write it without quotes, ",
        Value::Number(_) | Value::Bool(_) if example.starts_with('"') => "write it in quotes, ",
        _ => "",
    };
    let problem = Problem::new(place, format!("expected {expected}, found {}", kind(value)));
    problem.with_hint(format!("{how}as in {}", place.assigned(example)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decode::whole;
    use crate::entity::Service;

    #[test]
    fn a_value_of_another_kind_is_told_how_it_is_written() {
        let root = Place::Root;
        let place = root.key("it");
        let told = |problems: &Problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut problems = Problems::default();
        assert_eq!(u16::decode(&json!("10"), &place, &mut problems), None);
        assert_eq!(bool::decode(&json!("yes"), &place, &mut problems), None);
        assert_eq!(Duration::decode(&json!(5), &place, &mut problems), None);
        assert_eq!(Name::decode(&json!(["a"]), &place.index(0), &mut problems), None);
        assert_eq!(Vec::<Service>::decode(&json!({}), &place, &mut problems), None);
        assert_eq!(Vec::<Service>::decode(&json!({}), &place.key("in"), &mut problems), None);
        assert_eq!(Vec::<Service>::decode(&json!("a"), &place, &mut problems), None);
        assert_eq!(Vec::<Name>::decode(&json!("a"), &place, &mut problems), None);
        assert_eq!(Vec::<Name>::decode(&json!({}), &place, &mut problems), None);
        assert_eq!(Vec::<u16>::decode(&json!("a"), &place, &mut problems), None);
        assert_eq!(
            told(&problems),
            [
                "it: expected a whole number from 0 to 65535, found a string (write it without quotes, as in it = 10)",
                "it: expected true or false, found a string (write it without quotes, as in it = true)",
                "it: expected a duration such as \"250ms\" or \"5s\", found a number \
                 (a duration has a unit, as in it = \"30s\")",
                "it[0]: expected a name, found a list (as in \"…\")",
                "it: expected a list, found a table (write [[it]], with two brackets)",
                "it.in: expected a list, found a table (put it in a list: [{ … }])",
                "it: expected a list, found a string (write [{ … }])",
                "it: expected a list, found a string (write [\"…\"])",
                "it: expected a list, found a table (as in it = [ … ])",
                "it: expected a list, found a string (write […])",
            ]
        );
        let service = json!({ "name": "a", "url": "http://a", "retries": 3 });
        assert_eq!(
            told(&whole::<Service>(&service).expect_err("no table")),
            ["retries: expected a table, found a number \
              (write retries = { … }; known there: attempts, per_try_timeout, on, methods, body_size)"]
        );
    }
}
