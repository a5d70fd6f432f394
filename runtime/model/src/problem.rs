//! What is wrong with a configuration.

use std::fmt;

use crate::decode::Place;

/// One thing wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Place in the tree: `routes[2].paths[0]`; empty for the whole. Read by [`crate::decode::steps`].
    pub path: String,
    /// Starts in lower case and has no full stop. Quotes names and keys, never other values: those
    /// may be secrets.
    pub message: String,
    pub hint: Option<String>,
    /// Which half of `key = value` a report should point at.
    pub part: Part,
    /// Another place that belongs to the problem, as the first of two equal names.
    pub elsewhere: Option<Elsewhere>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    Value,
    Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub path: String,
    /// What is there, in a few words: `first used here`.
    pub label: String,
}

impl Problem {
    pub fn new(place: &Place<'_>, complaint: impl Into<Complaint>) -> Problem {
        let Complaint { message, hint } = complaint.into();
        Problem { path: place.to_string(), message, hint, part: Part::Value, elsewhere: None }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    pub fn at_key(mut self) -> Problem {
        self.part = Part::Key;
        self
    }

    pub fn with_elsewhere(mut self, place: &Place<'_>, label: impl Into<String>) -> Problem {
        self.elsewhere = Some(Elsewhere { path: place.to_string(), label: label.into() });
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Why a value is refused, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    pub hint: Option<String>,
}

impl Complaint {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Complaint {
        Complaint { message: message.into(), hint: Some(hint.into()) }
    }
}

impl From<&str> for Complaint {
    fn from(message: &str) -> Complaint {
        Complaint { message: message.to_owned(), hint: None }
    }
}

impl From<String> for Complaint {
    fn from(message: String) -> Complaint {
        Complaint { message, hint: None }
    }
}

/// All that is wrong; never empty inside an `Err`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// `value`, unless something is wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
