use std::time::Duration;

use http::HeaderMap;

/// Field that tells the origin what to do: settings with blanks between, such as `delay=50 size=9`.
pub(crate) const BEHAVIOUR: &str = "x-origin";

/// How the origin answers.
#[derive(Debug, Default)]
pub(super) struct Behaviour {
    /// `status=404`.
    pub status: Option<u16>,
    /// `delay=50`: milliseconds until the head, once the request's body was there.
    pub delay: Duration,
    /// `eager`: the head is sent before the request's body was read, the body read on the way.
    pub eager: bool,
    /// `echo`: the request's body is sent back as it comes.
    pub echo: bool,
    /// `size=1000`: a body of so many bytes instead of JSON.
    pub size: Option<u64>,
    /// `chunks=5`: the body (of `size`, or 5 lines) in so many pieces, without Content-Length.
    pub chunks: Option<u64>,
    /// `gap=20`: milliseconds between two pieces.
    pub gap: Duration,
    /// `trailers`: ends with `x-trailer: from-origin`.
    pub trailers: bool,
    /// `cut=500`: closes the connection after so many bytes of the body.
    pub cut: Option<u64>,
    /// `abort`: no head at all, the connection (of HTTP/2: the stream) breaks.
    pub abort: bool,
    /// `flaky=2`: `status`, `delay` and `abort` hold for the first two requests to this target only.
    pub flaky: Option<u64>,
    /// `header=name:value`, as often as wanted: more fields of the answer.
    pub headers: Vec<(String, String)>,
}

impl Behaviour {
    /// Panics at a word that it does not know: the test has a typo.
    pub fn of(headers: &HeaderMap) -> Behaviour {
        let told = headers.get_all(BEHAVIOUR).iter().filter_map(|value| value.to_str().ok());
        let mut behaviour = Behaviour::default();
        for word in told.flat_map(str::split_ascii_whitespace) {
            behaviour.set(word);
        }
        behaviour
    }

    fn set(&mut self, word: &str) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse::<u64>().unwrap_or_else(|_| panic!("x-origin: {word} wants a number"));
        match name {
            "status" => self.status = Some(number() as u16),
            "delay" => self.delay = Duration::from_millis(number()),
            "eager" => self.eager = true,
            "echo" => self.echo = true,
            "size" => self.size = Some(number()),
            "chunks" => self.chunks = Some(number()),
            "gap" => self.gap = Duration::from_millis(number()),
            "trailers" => self.trailers = true,
            "cut" => self.cut = Some(number()),
            "abort" => self.abort = true,
            "flaky" => self.flaky = Some(number()),
            "header" => self.headers.extend(value.split_once(':').map(|(n, v)| (n.to_owned(), v.to_owned()))),
            _ => panic!("x-origin: nobody knows {word:?}"),
        }
    }
}
