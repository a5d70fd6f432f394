//! A small HTTP/1.1 service for the quickstart: it answers every request with what it saw of it.
//!
//! One thread a connection, which is plenty for a demo. Keep-alive; bodies are read and dropped.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// A request line or a header longer than this ends the connection, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;
const MOST_HEADERS: usize = 200;

/// Serves on 127.0.0.1 until the process ends.
pub fn serve_forever(port: u16) -> Result<()> {
    let listener = listen(port)?;
    eprintln!("demo upstream on http://{}", listener.local_addr()?);
    serve(&listener);
    Ok(())
}

/// Opens the listener alone, so that a busy port is known before anything else starts.
pub fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
        format!("cannot listen on 127.0.0.1:{port}; `ss -ltnp 'sport = :{port}'` shows which program holds it")
    })
}

/// Answers every connection on a thread of its own.
pub fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || {
            // A client that goes away mid-request is its own business.
            let _ = converse(&stream);
        });
    }
}

/// One connection: requests in order until either side has enough.
fn converse(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        if request.header("expect").is_some() {
            (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.drop_body(&mut reader)?;
        (&*stream).write_all(&request.answer())?;
        if request.is_last() {
            break;
        }
    }
    Ok(())
}

struct Request {
    method: String,
    path: String,
    version: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The next request, or none if the client has closed the connection.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let line = line(reader)?;
        if line.is_empty() {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed("a request line has three words"));
        };
        let mut headers = Vec::new();
        loop {
            let line = self::line(reader)?;
            if line.is_empty() {
                return Ok(Some(Request { method, path, version, headers }));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header has a colon"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            if headers.len() > MOST_HEADERS {
                return Err(malformed("too many headers"));
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn drop_body(&self, reader: &mut impl BufRead) -> io::Result<()> {
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return drop_chunks(reader);
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse);
        drop_bytes(reader, length.map_err(|_| malformed("content-length is a number"))?)
    }

    fn answer(&self) -> Vec<u8> {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            match headers.get_mut(name) {
                Some(Value::String(seen)) => *seen = format!("{seen}, {value}"),
                _ => drop(headers.insert(name.clone(), value.as_str().into())),
            }
        }
        let seen = json!({ "method": self.method, "path": self.path, "headers": headers });
        let body = format!("{seen:#}\n");
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nserver: demo-upstream\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if self.method != "HEAD" {
            answer.extend_from_slice(body.as_bytes());
        }
        answer
    }

    /// Whether the connection ends after this request.
    fn is_last(&self) -> bool {
        self.version == "HTTP/1.0" || self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// One line without its ending; empty at the end of the stream.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 == LONGEST_LINE {
        return Err(malformed("a line is too long"));
    }
    Ok(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned())
}

fn drop_chunks(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let head = line(reader)?;
        let size = head.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed("a chunk starts with its size"))?;
        if size == 0 {
            // Trailers, up to the empty line.
            while !line(reader)?.is_empty() {}
            return Ok(());
        }
        drop_bytes(reader, size)?;
        line(reader)?;
    }
}

fn drop_bytes(reader: &mut impl BufRead, count: u64) -> io::Result<()> {
    let dropped = io::copy(&mut reader.by_ref().take(count), &mut io::sink())?;
    if dropped < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_it_saw_and_keeps_the_connection() {
        let listener = listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener));
        let mut stream = TcpStream::connect(address).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());

        stream.write_all(b"POST /orders/1 HTTP/1.1\r\nhost: a\r\nX-Two: 1\r\nx-two: 2\r\n").unwrap();
        stream.write_all(b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n").unwrap();
        let seen = answer(&mut reader);
        assert_eq!(seen["method"], "POST");
        assert_eq!(seen["path"], "/orders/1");
        assert_eq!(seen["headers"]["x-two"], "1, 2");

        stream.write_all(b"PUT /next HTTP/1.1\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
        assert_eq!(answer(&mut reader)["path"], "/next", "the first body was read to its end");
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "closed as asked");
    }

    fn answer(reader: &mut impl BufRead) -> Value {
        let mut length = 0;
        assert_eq!(line(reader).unwrap(), "HTTP/1.1 200 OK");
        loop {
            let header = line(reader).unwrap();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}
