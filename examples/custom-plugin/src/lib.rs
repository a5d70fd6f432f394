//! Replaces words in JSON and text bodies, on the way in and on the way out.

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::settings::Size;

/// One configured use.
struct Redact {
    /// In lower case.
    words: Vec<Vec<u8>>,
    mask: Vec<u8>,
    max_body: Size,
    directions: Vec<Direction>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Words to replace, in any ASCII case.
    words: Vec<String>,
    /// What stands in their place.
    #[serde(default = "stars")]
    mask: String,
    /// Bodies are held back up to this size. A larger request is answered with 413, a larger
    /// response is passed on untouched.
    #[serde(default = "one_mebibyte")]
    max_body: Size,
    #[serde(default = "both")]
    directions: Vec<Direction>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Request,
    Response,
}

tollgate_plugin_sdk::export!(Redact);

impl Plugin for Redact {
    type Settings = Settings;
    const HOOKS: Hooks = Hooks::REQUEST.and(Hooks::REQUEST_BODY).and(Hooks::RESPONSE_BODY);

    fn configure(settings: Settings) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if settings.words.is_empty() || settings.words.iter().any(String::is_empty) {
            problems.add("words", "list at least one word, none of them empty");
        }
        if settings.max_body.bytes() == 0 {
            problems.add("max_body", "a word may span pieces: bodies have to be held back");
        }
        problems.into_result()?;
        Ok(Self {
            words: settings.words.iter().map(|word| word.to_ascii_lowercase().into_bytes()).collect(),
            mask: settings.mask.into_bytes(),
            max_body: settings.max_body,
            directions: settings.directions,
        })
    }

    /// Only the hooks of the configured directions, each body whole.
    fn subscription(&self) -> Subscription {
        let mut hooks = Hooks::NONE;
        if self.directions.contains(&Direction::Request) {
            hooks = hooks | Hooks::REQUEST_BODY;
        }
        if self.directions.contains(&Direction::Response) {
            hooks = hooks | Hooks::REQUEST | Hooks::RESPONSE_BODY;
        }
        let limit = self.max_body.bytes();
        Subscription::to(hooks).hold_request_body(limit).hold_response_body(limit)
    }

    /// A compressed answer can't be read, so the upstream is not offered one.
    fn on_request(&self, request: &mut Request) -> Action {
        request.headers().remove("accept-encoding");
        Action::Continue
    }

    fn on_request_body(&self, request: &mut Request, body: &mut Body) -> Action {
        match readable(request.header("content-type")).then(|| self.rewrite(body)) {
            Some(Err(_)) => request.refuse(413, "The body is too large after redaction"),
            _ => Action::Continue,
        }
    }

    fn on_response_body(&self, response: &mut Response, body: &mut Body) {
        if readable(response.header("content-type")) && self.rewrite(body).is_err() {
            // Better no body than one with the words in it.
            let emptied = body.write([]);
            debug_assert!(emptied.is_ok(), "an empty body is within every limit");
        }
    }
}

impl Redact {
    fn rewrite(&self, body: &mut Body) -> Result<(), tollgate_plugin_sdk::TooLarge> {
        match redact(&body.read(), &self.words, &self.mask) {
            Some(text) => body.write(text),
            None => Ok(()),
        }
    }
}

/// The text with every word replaced; `None` when it holds none of them.
fn redact(text: &[u8], words: &[Vec<u8>], mask: &[u8]) -> Option<Vec<u8>> {
    let mut redacted = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    while at < text.len() {
        let starts = |word: &&Vec<u8>| text[at..].get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word));
        match words.iter().find(starts) {
            Some(word) => {
                redacted.extend_from_slice(&text[kept..at]);
                redacted.extend_from_slice(mask);
                at += word.len();
                kept = at;
            }
            None => at += 1,
        }
    }
    (kept > 0).then(|| {
        redacted.extend_from_slice(&text[kept..]);
        redacted
    })
}

/// JSON or text, going by the media type.
fn readable(content_type: Option<Value>) -> bool {
    let content_type = content_type.map(Value::text).unwrap_or_default().to_ascii_lowercase();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.starts_with("text/") || media_type == "application/json" || media_type.ends_with("+json")
}

fn stars() -> String {
    "***".to_owned()
}

fn one_mebibyte() -> Size {
    Size::new(1 << 20)
}

fn both() -> Vec<Direction> {
    vec![Direction::Request, Direction::Response]
}

#[cfg(test)]
mod tests;
