//! The part of a request behind its `?`.

use std::time::Duration;

use tollgate_model::units::TimeSpan;

use crate::refusal::Refusal;

/// Parameters that are known where they are asked for, each stated once.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// An ignored parameter would look like one that was heeded, so unknown ones are refused.
    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Parameters, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*key) {
                let message = match known {
                    [] => format!("unknown parameter `{key}`, none are taken here"),
                    known => format!("unknown parameter `{key}`, known here: {}", known.join(", ")),
                };
                return Err(Refusal::BadRequest(message));
            }
            if parameters.iter().any(|(stated, _)| *stated == *key) {
                return Err(Refusal::BadRequest(format!("the parameter `{key}` is there twice")));
            }
            if value.contains(char::is_control) {
                return Err(Refusal::BadRequest(format!("the parameter `{key}` has control characters in it")));
            }
            parameters.push((key.into_owned(), value.into_owned()));
        }
        Ok(Parameters(parameters))
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(stated, _)| stated == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, Refusal> {
        self.one_of(key, &[("true", true), ("false", false)]).map(|flag| flag.unwrap_or(default))
    }

    pub(super) fn one_of<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(stated) = self.get(key) else { return Ok(None) };
        match choices.iter().find(|(word, _)| *word == stated) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
                Err(Refusal::BadRequest(format!("`{key}` is one of {}", words.join(", "))))
            }
        }
    }

    pub(super) fn size(&self) -> Result<u32, Refusal> {
        let Some(stated) = self.get("size") else { return Ok(DEFAULT_SIZE) };
        let size = stated.parse().ok().filter(|size| (1..=LARGEST_SIZE).contains(size));
        size.ok_or_else(|| Refusal::BadRequest(format!("`size` is a whole number from 1 to {LARGEST_SIZE}")))
    }

    /// The number of a revision.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let Some(stated) = self.get(key) else { return Ok(None) };
        match revision_number(stated) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::BadRequest(format!("`{key}` is the number of a revision"))),
        }
    }

    /// How long somebody wants to wait, `5s` by default and at most a minute.
    pub(super) fn timeout(&self) -> Result<Duration, Refusal> {
        let Some(stated) = self.get("timeout") else { return Ok(Duration::from_secs(5)) };
        match TimeSpan::parse(stated) {
            Ok(TimeSpan(timeout)) if timeout <= LONGEST_TIMEOUT => Ok(timeout),
            _ => Err(Refusal::BadRequest("`timeout` is a duration up to one minute, as in `5s`".to_owned())),
        }
    }
}

/// As databases can hold it.
pub(super) fn revision_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && i64::try_from(*number).is_ok())
}

const DEFAULT_SIZE: u32 = 100;
pub(super) const LARGEST_SIZE: u32 = 1000;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_doubled_or_out_of_range_is_refused() {
        let refused = |query: &str| Parameters::parse(query, &["size", "after"]).is_err();
        assert!(refused("sise=1") && refused("size=1&size=2") && refused("after=a%00b"));
        let read = |query: &str| Parameters::parse(query, &["size", "timeout", "dry_run", "after"]).expect("known");
        assert_eq!((read("").size().ok(), read("size=1000").size().ok()), (Some(100), Some(1000)));
        assert!(["0", "1001", "-1", "many", "1.5"].iter().all(|size| read(&format!("size={size}")).size().is_err()));
        assert_eq!(read("dry_run=true").flag("dry_run", false).ok(), Some(true));
        assert!(read("dry_run=yes").flag("dry_run", false).is_err());
        assert_eq!(read("timeout=250ms").timeout().ok(), Some(Duration::from_millis(250)));
        assert!(["61s", "5", "", "-1s"].iter().all(|time| read(&format!("timeout={time}")).timeout().is_err()));
        assert!(
            ["18446744073709551615", "+1", "", "a"]
                .iter()
                .all(|n| read(&format!("after={n}")).number("after").is_err())
        );
    }
}
