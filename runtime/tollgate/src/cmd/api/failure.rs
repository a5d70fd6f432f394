//! Why a node did not do what it was asked, and what to do about it.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::Answer;
use super::access::Access;
use super::connection::Broken;
use super::output::printable;

/// On its way to the terminal.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    message: String,
    /// All that is wrong with what was sent.
    pub problems: Vec<Refused>,
    hint: Option<String>,
}

/// By its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    Refused = 1,
    Usage = 2,
    Unreachable = 3,
    NotAllowed = 4,
}

/// One thing wrong, as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `routes.orders.paths[0]`
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    pub fn refused(message: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Refused, message)
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Usage, message)
    }

    pub fn unreachable(message: impl Into<String>) -> Failure {
        Failure::new(FailureKind::Unreachable, message)
    }

    pub fn not_allowed(message: impl Into<String>) -> Failure {
        Failure::new(FailureKind::NotAllowed, message)
    }

    fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), problems: Vec::new(), hint: None }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    pub fn exit_code(&self) -> u8 {
        self.kind as u8
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(super) fn of_connection(access: &Access, broken: Broken) -> Failure {
        let base = &access.base;
        match broken {
            Broken::Connecting(error) => {
                let failure = Failure::unreachable(format!("{base} can't be reached ({error}); {}", base.source));
                let another = "name another one by --admin URL, TOLLGATE_ADMIN, or -c FILE of the node";
                match error.kind() {
                    ErrorKind::ConnectionRefused => failure.with_hint(format!("is a node running there? {another}")),
                    _ => failure.with_hint(another),
                }
            }
            Broken::Securing(error) => Failure::unreachable(format!("{base} can't be spoken to by TLS: {error}"))
                .with_hint("--ca-file FILE names the authority of a certificate that the system does not know"),
            Broken::Asking(error) => Failure::unreachable(format!("{base} gave no whole answer: {}", causes(&error)))
                .with_hint("a change may have been made all the same; `tollgate revisions` tells"),
        }
    }

    pub(super) fn late(access: &Access, patience: Duration) -> Failure {
        Failure::unreachable(format!("{} gave no answer within {patience:?}", access.base)).with_hint(
            "a change may have been made all the same, `tollgate revisions` tells; --timeout TIME waits for longer",
        )
    }

    pub(super) fn of_answer(access: &Access, answer: &Answer) -> Failure {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(message) = body["message"].as_str().map(printable) else {
            return Failure::refused(format!("{} answers {} and says no more", access.base, answer.status))
                .with_hint("is this URL that of an admin API?");
        };
        match answer.status {
            StatusCode::UNAUTHORIZED => Failure::not_allowed(message).with_hint(without_token(access)),
            StatusCode::FORBIDDEN if message.contains("read-only token") => Failure::not_allowed(message)
                .with_hint("use a token with the role admin; `tollgate token create NAME --role admin` makes one"),
            StatusCode::FORBIDDEN => Failure::not_allowed(message),
            StatusCode::SERVICE_UNAVAILABLE => Failure::unreachable(message).with_hint("try again in a moment"),
            StatusCode::NOT_FOUND if message.starts_with("there is nothing at this path") => {
                Failure::refused(format!("{} can't answer this", access.base))
                    .with_hint("its store may be a file, which has no tokens, keys, history and members")
            }
            _ => Failure { problems: problems(&body), ..Failure::refused(message) },
        }
    }
}

fn without_token(access: &Access) -> String {
    match &access.token {
        Some(token) => format!("the token was taken from {}; is it one of this node's?", token.source),
        None => "give one by --token TOKEN|@FILE, by TOLLGATE_TOKEN, or name the node's file by -c FILE: its data \
                 folder has the one that was made first, admin.token"
            .to_owned(),
    }
}

fn problems(body: &Value) -> Vec<Refused> {
    let text = |value: &Value| value.as_str().map(printable);
    let problem = |problem: &Value| Refused {
        path: text(&problem["path"]).unwrap_or_default(),
        message: text(&problem["message"]).unwrap_or_default(),
        hint: text(&problem["hint"]),
    };
    body["problems"].as_array().into_iter().flatten().map(problem).collect()
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // One alone is the message already.
        if let [_, _, ..] = &self.problems[..] {
            for problem in &self.problems {
                write!(f, "\n  {problem}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
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

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use http::Response;
    use hyper::body::Bytes;
    use serde_json::json;

    use super::*;
    use crate::cmd::api::access::{Base, Token};

    fn access(token: Option<&str>) -> Access {
        let token = token.map(|text| Token { text: text.to_owned(), source: "TOLLGATE_TOKEN".to_owned() });
        Access { base: Base::parse("http://127.0.0.1:8001", "the default").expect("a URL"), token }
    }

    fn answered(status: u16, body: &str, token: Option<&str>) -> Failure {
        let response = Response::builder().status(status).body(Bytes::from(body.to_owned())).expect("an answer");
        Failure::of_answer(&access(token), &Answer::new(response))
    }

    fn said(message: &str) -> String {
        json!({ "message": message }).to_string()
    }

    #[test]
    fn each_answer_has_its_code_and_says_what_to_do() {
        let unknown = answered(401, &said("a token is missing"), None);
        assert_eq!(unknown.exit_code(), 4);
        assert!(unknown.hint().is_some_and(|hint| hint.contains("--token") && hint.contains("TOLLGATE_TOKEN")));
        let wrong = answered(401, &said("not known"), Some("tgt_canary"));
        assert!(wrong.hint().is_some_and(|hint| hint.contains("TOLLGATE_TOKEN") && !hint.contains("canary")));
        assert!(!format!("{wrong:?} {:?}", access(Some("tgt_canary"))).contains("canary"));
        let reader = answered(403, &said("a read-only token changes nothing"), Some("t"));
        assert!(reader.exit_code() == 4 && reader.hint().is_some_and(|hint| hint.contains("--role admin")));
        let file = answered(405, &said("this node is configured by the file gateway.toml"), None);
        assert!(file.exit_code() == 1 && file.to_string().contains("gateway.toml"));
        assert_eq!(answered(503, &said("the database is away"), None).exit_code(), 3);
        assert_eq!(answered(409, &said("taken"), None).exit_code(), 1);
        let other = answered(200, "<html>", None);
        assert!(other.hint().is_some_and(|hint| hint.contains("admin API")));
    }

    #[test]
    fn a_refused_connection_names_the_url_and_how_to_name_another() {
        let refused = Broken::Connecting(ErrorKind::ConnectionRefused.into());
        let failure = Failure::of_connection(&access(None), refused);
        let hint = failure.hint().expect("a hint");
        assert!(failure.to_string().contains("http://127.0.0.1:8001") && failure.exit_code() == 3, "{failure}");
        assert!(hint.contains("is a node running") && hint.contains("--admin"), "{hint}");
    }

    #[test]
    fn several_problems_are_all_told_and_one_is_the_message() {
        let problem = |path: &str| json!({ "path": path, "message": "is wrong", "hint": "mend it" });
        let body = json!({ "message": "2 things are wrong", "problems": [problem("routes.a"), problem("routes.b")] });
        let told = answered(400, &body.to_string(), None).to_string();
        assert_eq!(told, "2 things are wrong\n  routes.a: is wrong (mend it)\n  routes.b: is wrong (mend it)");
        let body = json!({ "message": "routes.a: is wrong (mend it)", "problems": [problem("routes.a")] });
        assert_eq!(answered(400, &body.to_string(), None).to_string(), "routes.a: is wrong (mend it)");
    }
}
