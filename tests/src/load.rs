//! Traffic in the background, every answer checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{Call, Connection, Reply};

/// Keep-alive connections that send one request after another, on a thread of their own.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<Tally>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub requests: u64,
    /// Requests without an answer, or with a wrong one.
    pub failed: u64,
    /// Connections that the other side closed, during a request or between two.
    pub closed: u64,
    /// The first few failures.
    pub complaints: Vec<String>,
    /// Of every request, sorted, in microseconds.
    pub latencies: Vec<u32>,
}

impl Load {
    /// `check` says what is wrong with an answer. Each connection waits `pause` between two requests.
    pub fn start(
        address: SocketAddr,
        connections: usize,
        pause: Duration,
        call: impl Fn(u64) -> Call + Send + Sync + 'static,
        check: impl Fn(&Reply) -> Result<(), String> + Send + Sync + 'static,
    ) -> Load {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let plan = Arc::new(Plan {
            address,
            pause,
            call: Box::new(call),
            check: Box::new(check),
            stop: Arc::clone(&stop),
            answered: Arc::clone(&answered),
            number: AtomicU64::new(0),
        });
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(plan, connections))
        });
        Load { stop, answered, thread }
    }

    /// `GET target` as fast as the connections allow; anything but 200 is a failure.
    pub fn steady(address: SocketAddr, connections: usize, call: Call) -> Load {
        let check = |reply: &Reply| match reply.status {
            200 => Ok(()),
            status => Err(format!("{status}: {}", reply.text())),
        };
        Load::start(address, connections, Duration::from_millis(1), move |_| call.clone(), check)
    }

    /// Answers so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Lets requests under way finish.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the load does not panic")
    }
}

impl Tally {
    /// Panics unless every request was answered rightly and no connection was closed.
    pub fn assert_clean(&self) {
        assert!(
            self.failed == 0 && self.closed == 0 && self.requests > 0,
            "of {} requests {} failed, {} connections were closed: {:#?}",
            self.requests,
            self.failed,
            self.closed,
            self.complaints
        );
    }

    /// The latency that this part (0.99) of the requests stayed within.
    pub fn quantile(&self, part: f64) -> Duration {
        let at = ((self.latencies.len() as f64 * part) as usize).min(self.latencies.len().saturating_sub(1));
        Duration::from_micros(self.latencies.get(at).copied().unwrap_or_default().into())
    }

    fn merge(mut self, other: Tally) -> Tally {
        self.requests += other.requests;
        self.failed += other.failed;
        self.closed += other.closed;
        self.complaints.extend(other.complaints);
        self.complaints.truncate(SHOWN);
        self.latencies.extend(other.latencies);
        self
    }

    fn complain(&mut self, complaint: String) {
        self.failed += 1;
        if self.complaints.len() < SHOWN {
            self.complaints.push(complaint);
        }
    }
}

type Check = dyn Fn(&Reply) -> Result<(), String> + Send + Sync;

struct Plan {
    address: SocketAddr,
    pause: Duration,
    call: Box<dyn Fn(u64) -> Call + Send + Sync>,
    check: Box<Check>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    number: AtomicU64,
}

async fn run(plan: Arc<Plan>, connections: usize) -> Tally {
    let drivers: JoinSet<Tally> = (0..connections).map(|_| drive(Arc::clone(&plan))).collect();
    let mut tally = drivers.join_all().await.into_iter().fold(Tally::default(), Tally::merge);
    tally.latencies.sort_unstable();
    tally
}

async fn drive(plan: Arc<Plan>) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while !plan.stop.load(Ordering::Relaxed) {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(plan.address).await {
                Ok(open) => open,
                Err(error) => {
                    tally.requests += 1;
                    tally.complain(error);
                    // tidy: sleep because this paces the load
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        tally.requests += 1;
        let started = Instant::now();
        let answer = open.send((plan.call)(plan.number.fetch_add(1, Ordering::Relaxed))).await;
        tally.latencies.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
        plan.answered.fetch_add(1, Ordering::Relaxed);
        if let Err(complaint) = answer.and_then(|reply| (plan.check)(&reply)) {
            tally.complain(complaint);
        }
        // tidy: sleep because this paces the load
        tokio::time::sleep(plan.pause).await;
        if open.alive().await {
            connection = Some(open);
        } else {
            tally.closed += 1;
        }
    }
    tally
}

const SHOWN: usize = 10;
