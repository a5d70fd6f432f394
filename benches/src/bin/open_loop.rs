//! An open-loop client: sends at a steady rate whatever the answers do, and takes each latency from the moment its
//! request was due, so that a gateway that stalls can't slow its own load down and hide that ("coordinated omission").
//!
//! `open-loop <port> <requests a second> <connections> <seconds> <API key>` asks for `/x` and prints one JSON object,
//! latencies in ms. A thread a connection, each with its share of the rate: the kernel wakes a sleeping thread to the
//! microsecond, a runtime's timer does not.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// From the start of the first thread to the first request: by then all are there.
const SETTLING: Duration = Duration::from_millis(50);

#[allow(clippy::print_stdout, reason = "the report is what this program is for")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, rate, connections, seconds, key] = &arguments[..] else {
        return Err(Error::other("usage: open-loop <port> <requests a second> <connections> <seconds> <API key>"));
    };
    let number = |text: &String| text.parse::<u32>().map_err(|_| Error::other(format!("`{text}` is no number")));
    let (port, rate, connections) = (number(port)?, number(rate)?, number(connections)?);
    let total = rate * number(seconds)?;
    let streams = (0..connections).map(|_| connect(port)).collect::<Result<Vec<_>>>()?;
    let request = format!("GET /x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\napikey: {key}\r\n\r\n").into_bytes();
    let started = Instant::now() + SETTLING;
    let due = |request: u32| started + Duration::from_secs(1) * request / rate;
    let (request, due) = (&request, &due);
    let latencies = thread::scope(|scope| {
        let serve = move |(first, stream): (usize, TcpStream)| {
            let turns = (first..total as usize).step_by(connections as usize).map(move |turn| due(turn as u32));
            scope.spawn(move || converse(&stream, request, turns))
        };
        let threads: Vec<_> = streams.into_iter().enumerate().map(serve).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_default());
        ended.flatten().collect::<Vec<Duration>>()
    });
    println!("{}", report(latencies, total, started.elapsed()));
    Ok(())
}

fn connect(port: u32) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, u16::try_from(port).map_err(Error::other)?))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request at each of these moments, or as soon as the one before is answered; the latencies of those answered
/// with 200. Ends when the connection does.
fn converse(mut stream: &TcpStream, request: &[u8], turns: impl Iterator<Item = Instant>) -> Vec<Duration> {
    // Without it the kernel wakes up to 50 µs late, to wake several threads at once.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let mut latencies = Vec::new();
    for due in turns {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        match stream.write_all(request).and_then(|()| answer(stream)) {
            Ok(200) => latencies.push(due.elapsed()),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    latencies
}

/// Takes a response to its last byte; its status.
fn answer(mut stream: &TcpStream) -> Result<u16> {
    let malformed = || Error::new(ErrorKind::InvalidData, "a response without status or content-length");
    let mut received = Vec::with_capacity(2048);
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&piece[..count]),
        }
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&received[..end]).map_err(Error::other)?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or_else(malformed)?;
        let length: usize = length.trim().parse().map_err(|_| malformed())?;
        if received.len() >= end + 4 + length {
            return head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed);
        }
    }
}

fn report(mut latencies: Vec<Duration>, total: u32, took: Duration) -> serde_json::Value {
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(index).map(|latency| latency.as_secs_f64() * 1e3)
    };
    serde_json::json!({
        "requests": latencies.len(),
        "failed": total as usize - latencies.len(),
        "rate": latencies.len() as f64 / took.as_secs_f64(),
        "p50": at(0.5),
        "p99": at(0.99),
        "p999": at(0.999),
    })
}
