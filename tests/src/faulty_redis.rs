//! A proxy before a Redis that loses, doubles, delays and reorders messages of pub/sub, and cuts connections. All else
//! passes untouched and in order.

mod frame;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Ends with its owner, and so do its connections.
#[derive(Debug)]
pub struct FaultyRedis {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What happens to a message, each by a probability of 0 to 1, in this order: lost, doubled; then each copy delayed, or
/// held until another message has passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedisFaults {
    pub drop: f64,
    pub double: f64,
    pub delay: f64,
    /// The longest delay; each is by chance.
    pub longest: Duration,
    pub reorder: f64,
    /// The connection is cut in place of the message.
    pub cut: f64,
    /// The same seed, the same dice.
    pub seed: u64,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    faults: Mutex<RedisFaults>,
    dice: AtomicU64,
    /// Counts [`FaultyRedis::cut`].
    cuts: watch::Sender<u64>,
    /// Nothing passes, in neither direction.
    black_hole: watch::Sender<bool>,
    messages: AtomicU64,
}

impl FaultyRedis {
    pub async fn start(upstream: SocketAddr, faults: RedisFaults) -> FaultyRedis {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            upstream,
            faults: Mutex::new(faults),
            dice: AtomicU64::new(faults.seed),
            cuts: watch::Sender::new(0),
            black_hole: watch::Sender::new(false),
            messages: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        FaultyRedis { address, state, task }
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on.
    pub fn set(&self, faults: RedisFaults) {
        *self.state.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Lets nothing pass, and tells nobody; new connections are accepted all the same.
    pub fn swallow(&self, all: bool) {
        self.state.black_hole.send_replace(all);
    }

    /// Messages that came from Redis so far.
    pub fn messages(&self) -> u64 {
        self.state.messages.load(Ordering::Relaxed)
    }
}

impl Drop for FaultyRedis {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let mut cuts = state.cuts.subscribe();
            tokio::select! {
                _ = connect(client, &state) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn connect(client: TcpStream, state: &State) -> std::io::Result<()> {
    let upstream = TcpStream::connect(state.upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_upstream, to_upstream) = upstream.into_split();
    tokio::select! {
        outcome = requests(from_client, to_upstream, state) => outcome,
        outcome = answers(from_upstream, to_client, state) => outcome,
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            length => {
                state.passable().await;
                to.write_all(&buffer[..length]).await?;
            }
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let mut late = Late::default();
    loop {
        let due = late.due();
        tokio::select! {
            read = from.read_buf(&mut buffer) => if read? == 0 { return Ok(()) },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        state.passable().await;
        while let Some(length) = frame::length(&buffer) {
            let frame: Vec<u8> = buffer.drain(..length).collect();
            match frame::is_message(&frame) {
                false => to.write_all(&frame).await?,
                true if state.message(frame, &mut late) => return Ok(()),
                true => {}
            }
        }
        for message in late.take_due() {
            to.write_all(&message).await?;
        }
    }
}

impl State {
    async fn passable(&self) {
        // No error: the sender is borrowed.
        let _ = self.black_hole.subscribe().wait_for(|swallows| !swallows).await;
    }

    /// Whether the connection is to be cut.
    fn message(&self, frame: Vec<u8>, late: &mut Late) -> bool {
        self.messages.fetch_add(1, Ordering::Relaxed);
        let faults = *self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if self.roll() < faults.cut {
            return true;
        }
        if self.roll() < faults.drop {
            return false;
        }
        let copies = if self.roll() < faults.double { 2 } else { 1 };
        let mut held = Vec::new();
        for _ in 0..copies {
            if self.roll() < faults.delay {
                late.add(Instant::now() + faults.longest.mul_f64(self.roll()), frame.clone());
            } else if self.roll() < faults.reorder {
                held.push(frame.clone());
            } else {
                late.pass(frame.clone());
            }
        }
        late.held.extend(held);
        false
    }

    /// 0 to 1. SplitMix64, by Sebastiano Vigna.
    fn roll(&self) -> f64 {
        let mut z = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let fraction = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        fraction
    }
}

/// Messages on their way.
#[derive(Default)]
struct Late {
    /// By when they are due, and a number that keeps those of one moment in order.
    queue: BTreeMap<(Instant, u64), Vec<u8>>,
    next: u64,
    /// Until another one has passed.
    held: Vec<Vec<u8>>,
}

impl Late {
    fn add(&mut self, due: Instant, message: Vec<u8>) {
        self.next += 1;
        self.queue.insert((due, self.next), message);
    }

    fn pass(&mut self, message: Vec<u8>) {
        let now = Instant::now();
        self.add(now, message);
        for message in std::mem::take(&mut self.held) {
            self.add(now, message);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    fn take_due(&mut self) -> Vec<Vec<u8>> {
        let later = self.queue.split_off(&(Instant::now() + Duration::from_nanos(1), 0));
        std::mem::replace(&mut self.queue, later).into_values().collect()
    }
}
