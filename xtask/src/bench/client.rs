//! A client for single requests over HTTP/1.1, for what load generators can't do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::keys::Key;

const PATIENCE: Duration = Duration::from_secs(10);

/// A keep-alive connection.
pub struct Connection {
    /// Its buffer is empty between two requests; nothing of it is kept.
    stream: TcpStream,
}

impl Connection {
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("cannot connect to the gateway")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream })
    }

    /// Sends a request with a key, takes the whole answer, and returns its status.
    pub fn get(&mut self, path: &str, key: &Key) -> Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\napikey: {}\r\n\r\n", key.key);
        self.stream.write_all(request.as_bytes())?;
        let mut reader = BufReader::new(&self.stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            ensure!(reader.read_line(&mut line)? > 0, "the gateway closed a connection instead of answering");
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        let length =
            head.iter().find_map(|line| line.strip_prefix("content-length:")).context("an answer of no length")?;
        let length: u64 = length.trim().parse().context("a length is a number")?;
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        let status = head.first().and_then(|line| line.split(' ').nth(1)).context("an answer without status")?;
        status.parse().with_context(|| format!("no status: {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_twice_on_one_connection() {
        let listener = crate::demo_upstream::listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || crate::demo_upstream::serve(&listener));
        let key = Key { consumer: "a".into(), key: "k".into() };
        let mut connection = Connection::open(port).unwrap();
        assert_eq!(connection.get("/one", &key).unwrap(), 200);
        assert_eq!(connection.get("/two", &key).unwrap(), 200);
    }
}
