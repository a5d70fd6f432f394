//! The addresses that the names of targets stand for.
//!
//! Names are looked up by the system (`getaddrinfo`: /etc/hosts, nsswitch, search domains), which may take
//! seconds, on threads apart from the workers, once for all of them. It does not tell for how long an
//! answer is good, so that is a setting. What was good stays in use while it can't be looked up again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::timer::within;

/// All names of a configuration.
pub(crate) struct Names {
    ttl: Duration,
    threads: Arc<Threads>,
    /// A name is the same as long as anybody holds it.
    known: Mutex<HashMap<Box<str>, Weak<HostName>>>,
}

/// A name, and what is known of it.
pub(crate) struct HostName {
    host: Box<str>,
    ttl: Duration,
    threads: Arc<Threads>,
    known: watch::Sender<Known>,
    /// Counts the times that an address of it went away.
    epoch: AtomicU32,
    /// Of several addresses each connection starts with another one.
    turn: AtomicUsize,
}

#[derive(Clone, Default)]
struct Known {
    /// Empty: it was never resolved.
    addresses: Arc<[IpAddr]>,
    /// When that was.
    at: Option<Instant>,
    /// When it should be looked up again.
    due: Option<Instant>,
    failure: Option<Arc<str>>,
    /// It is being looked up.
    asked: bool,
}

impl Names {
    pub(crate) fn new(ttl: Duration) -> Names {
        Names::looked_up_by(ttl, Box::new(of_the_system))
    }

    fn looked_up_by(ttl: Duration, lookup: Lookup) -> Names {
        Names { ttl, threads: Arc::new(Threads { lookup, queue: Mutex::default() }), known: Mutex::default() }
    }

    pub(crate) fn name(&self, host: &str) -> Arc<HostName> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(host).and_then(Weak::upgrade) {
            return name;
        }
        known.retain(|_, name| name.strong_count() > 0);
        let name = Arc::new(HostName {
            host: host.into(),
            ttl: self.ttl,
            threads: Arc::clone(&self.threads),
            known: watch::Sender::new(Known::default()),
            epoch: AtomicU32::new(0),
            turn: AtomicUsize::new(0),
        });
        known.insert(host.into(), Arc::downgrade(&name));
        name
    }
}

impl HostName {
    /// Its addresses, in the order in which they are to be tried.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) async fn addresses(self: &Arc<Self>) -> Result<Vec<IpAddr>, Arc<str>> {
        let now = Instant::now();
        let is_due = self.refresh(now);
        let mut known = self.known.subscribe();
        let patience = {
            let known = known.borrow();
            match known.at {
                _ if !is_due && !known.asked => Some(Duration::ZERO),
                // Nobody should wait for each new connection while names can't be resolved.
                Some(_) if known.failure.is_some() => Some(Duration::ZERO),
                Some(at) if now - at < 2 * self.ttl => Some(Duration::ZERO),
                Some(_) => Some(STALE_PATIENCE),
                None => None,
            }
        };
        let answered = known.wait_for(|known| !known.asked);
        match patience {
            Some(Duration::ZERO) => {}
            Some(patience) => drop(within(patience, answered).await),
            None => drop(answered.await),
        }
        let known = self.known.borrow().clone();
        match known.addresses.is_empty() {
            false => Ok(in_order(&known.addresses, self.turn.fetch_add(1, Ordering::Relaxed))),
            true => Err(known.failure.unwrap_or_else(|| "it has no address".into())),
        }
    }

    /// A connection that was opened in an earlier epoch may lead to an address that is gone.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Has it looked up if it is time to. True if it was.
    pub(crate) fn refresh(self: &Arc<Self>, now: Instant) -> bool {
        let is_due = |known: &Known| !known.asked && known.due.is_none_or(|due| now >= due);
        if !is_due(&self.known.borrow()) {
            return false;
        }
        // One of those who see it.
        let asks = self.known.send_if_modified(|known| {
            let asks = is_due(known);
            known.asked |= asks;
            asks
        });
        if asks {
            Threads::look_up(&self.threads, Arc::clone(self));
        }
        true
    }

    fn learn(&self, answer: io::Result<Vec<IpAddr>>) {
        let now = Instant::now();
        let host = &*self.host;
        self.known.send_modify(|known| {
            known.asked = false;
            match answer {
                Ok(addresses) if !addresses.is_empty() => {
                    if known.failure.take().is_some() {
                        tracing::info!(host, "name can be resolved again");
                    }
                    if known.addresses.iter().any(|old| !addresses.contains(old)) {
                        tracing::info!(host, ?addresses, "name has other addresses");
                        self.epoch.fetch_add(1, Ordering::Relaxed);
                    }
                    known.addresses = addresses.into();
                    (known.at, known.due) = (Some(now), Some(now + self.ttl));
                }
                answer => {
                    let reason = answer.err().map_or("it has no address".to_owned(), |error| error.to_string());
                    if known.failure.is_none() {
                        let kept = known.addresses.len();
                        tracing::warn!(host, reason, kept, "name can't be resolved");
                    }
                    known.failure = Some(reason.into());
                    known.due = Some(now + NEGATIVE_TTL);
                }
            }
        });
    }
}

/// IPv6 and IPv4 by turns, the system's favourite first (RFC 8305, 4); among equals the turn decides.
fn in_order(addresses: &[IpAddr], turn: usize) -> Vec<IpAddr> {
    let favourite = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut first, mut second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == favourite);
    for family in [&mut first, &mut second] {
        let places = family.len().max(1);
        family.rotate_left(turn % places);
    }
    let mut second = second.into_iter();
    let mut order: Vec<IpAddr> =
        first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    order.extend(second);
    order
}

/// Looks names up: as many threads as there is work for, up to a limit, and none without work.
struct Threads {
    lookup: Lookup,
    queue: Mutex<Queue>,
}

type Lookup = Box<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<HostName>>,
    threads: usize,
}

impl Threads {
    fn look_up(threads: &Arc<Threads>, name: Arc<HostName>) {
        let mut queue = threads.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push_back(name);
        if queue.threads == MOST_THREADS {
            return;
        }
        let own = Arc::clone(threads);
        match std::thread::Builder::new().name("names".to_owned()).spawn(move || own.work()) {
            Ok(_) => queue.threads += 1,
            Err(error) => {
                let failed = if queue.threads == 0 { std::mem::take(&mut queue.waiting) } else { VecDeque::new() };
                drop(queue);
                failed.into_iter().for_each(|name| name.learn(Err(io::Error::new(error.kind(), error.to_string()))));
            }
        }
    }

    fn work(&self) {
        while let Some(name) = self.next() {
            name.learn((self.lookup)(&name.host));
        }
    }

    fn next(&self) -> Option<Arc<HostName>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let next = queue.waiting.pop_front();
        queue.threads -= usize::from(next.is_none());
        next
    }
}

fn of_the_system(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in (host, 0).to_socket_addrs()? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostName").field(&self.host).finish()
    }
}

/// After a failure.
const NEGATIVE_TTL: Duration = Duration::from_secs(1);
/// What a connection waits for news of a name that was not asked for in a long time; then it takes the old.
const STALE_PATIENCE: Duration = Duration::from_millis(250);
/// A name server that hangs takes one for each of its names.
const MOST_THREADS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers by a script, and counts.
    struct Script {
        answers: Mutex<VecDeque<io::Result<Vec<IpAddr>>>>,
        asked: AtomicUsize,
    }

    fn scripted(ttl: Duration, answers: Vec<io::Result<Vec<IpAddr>>>) -> (Arc<Script>, Names) {
        let script = Arc::new(Script { answers: Mutex::new(answers.into()), asked: AtomicUsize::new(0) });
        let own = Arc::clone(&script);
        let lookup = move |_: &str| {
            own.asked.fetch_add(1, Ordering::SeqCst);
            own.answers.lock().unwrap().pop_front().unwrap_or_else(|| Err(io::Error::other("nobody answers")))
        };
        (script, Names::looked_up_by(ttl, Box::new(lookup)))
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
        let asked = async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("not within 10 s");
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn many_ask_and_one_looks_up() {
        let (script, names) = scripted(HOUR, vec![Ok(addresses(&["10.0.0.1"]))]);
        let asks = (0..50).map(|_| {
            let name = names.name("a.test");
            tokio::spawn(async move { name.addresses().await })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap().unwrap(), addresses(&["10.0.0.1"]));
        }
        // It is the same name only as long as somebody holds it: all of them did until now.
        assert!(script.asked.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_change_is_noticed_and_a_failure_changes_nothing() {
        let answers =
            vec![Ok(addresses(&["10.0.0.1"])), Ok(addresses(&["10.0.0.1", "10.0.0.2"])), Ok(addresses(&["10.0.0.2"]))];
        let (script, names) = scripted(Duration::ZERO, answers);
        let name = names.name("a.test");
        assert_eq!(name.addresses().await.unwrap(), addresses(&["10.0.0.1"]));
        eventually(async || name.addresses().await.unwrap() == addresses(&["10.0.0.2"])).await;
        assert_eq!(name.epoch(), 1, "only what goes away ends connections");
        eventually(async || {
            name.refresh(Instant::now());
            script.asked.load(Ordering::SeqCst) > 3
        })
        .await;
        assert_eq!(name.addresses().await.unwrap(), addresses(&["10.0.0.2"]));
        assert_eq!(name.epoch(), 1);
    }

    #[tokio::test]
    async fn failures_are_remembered_for_a_moment() {
        let (script, names) = scripted(HOUR, Vec::new());
        let name = names.name("a.test");
        for _ in 0..20 {
            assert_eq!(&*name.addresses().await.unwrap_err(), "nobody answers");
        }
        assert!(script.asked.load(Ordering::SeqCst) < 20);
    }

    #[test]
    fn families_alternate_and_equals_take_turns() {
        let all = addresses(&["::1", "10.0.0.1", "::2", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(in_order(&all, 0), addresses(&["::1", "10.0.0.1", "::2", "10.0.0.2", "10.0.0.3"]));
        assert_eq!(in_order(&all, 1), addresses(&["::2", "10.0.0.2", "::1", "10.0.0.3", "10.0.0.1"]));
        assert_eq!(in_order(&addresses(&["10.0.0.1", "::1"]), 7), addresses(&["10.0.0.1", "::1"]));
        assert!(in_order(&[], 3).is_empty());
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let name = Names::new(HOUR).name("localhost");
        assert!(name.addresses().await.unwrap().iter().all(IpAddr::is_loopback));
    }
}
