use std::time::Duration;

use smallvec::SmallVec;
use tollgate_limits as limits;
use wasmtime::{Caller, bail};

use super::{Interface, Reply, memory, reply};
use crate::exchange::{MOST_KEY_BYTES, MOST_RESERVATIONS};
use crate::guest::Guest;

#[derive(Clone, Copy)]
struct Ask {
    rule: u32,
    key: u32,
    cost: u64,
}

/// In the WIT's order.
#[derive(Clone, Copy)]
enum Decision {
    Admitted,
    Denied,
    Unavailable,
}

struct Verdict {
    decision: Decision,
    tightest: u32,
    limit: u64,
    remaining: u64,
    reset_after: u64,
    retry_after: u64,
    reservation: u64,
}

/// The counters are this process's own, so no call waits; a guest can't tell, and the ABI lets a
/// counting store behind a network take their place.
pub(super) fn add(limiter: &mut Interface<'_>) -> wasmtime::Result<()> {
    limiter.function("define", define)?;
    limiter.function("take", |mut caller: Caller<'_, Guest>, asks: u32, count: u32, result: u32| {
        let (memory, guest) = memory::of(&mut caller)?;
        let verdict = take(guest, &asked(memory, asks, count)?)?;
        memory::put(memory, result, &verdict.to_memory())
    })?;
    limiter.function("standings", standings)?;
    limiter.function(
        "commit",
        |mut caller: Caller<'_, Guest>, reservation: u64, cost: u64| -> wasmtime::Result<()> {
            let guest = caller.data_mut();
            if let Some(taken) = reserved(guest, reservation)? {
                guest.services.limiter.commit(&taken, cost);
            }
            Ok(())
        },
    )?;
    limiter.function("refund", |mut caller: Caller<'_, Guest>, reservation: u64| -> wasmtime::Result<()> {
        let guest = caller.data_mut();
        if let Some(taken) = reserved(guest, reservation)? {
            guest.services.limiter.refund(&taken);
        }
        Ok(())
    })
}

#[expect(clippy::too_many_arguments, reason = "the parameters of the core module's function")]
fn define(
    mut caller: Caller<'_, Guest>,
    name: u32,
    name_length: u32,
    algorithm: u32,
    limit: u64,
    window: u64,
    burst: u64,
    result: u32,
) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let algorithm = memory::case(&ALGORITHMS, algorithm)?;
    let spec = limits::RuleSpec { algorithm, limit, window: Duration::from_millis(window), burst };
    let defined = defined(guest, memory::text(memory, name, name_length, RULE_NAME_BYTES)?, spec)?;
    reply::result(guest, memory, defined, result)
}

fn defined(guest: &mut Guest, name: Option<&str>, spec: limits::RuleSpec) -> wasmtime::Result<Result<u32, String>> {
    let plugin = guest.configuring()?;
    let Some(name) = name else {
        return Ok(Err(format!("a rule's name has at most {RULE_NAME_BYTES} bytes")));
    };
    let owner = plugin.id();
    // NUL can't stand in a plugin's name: no two plugins share a counter.
    let identity = format!("{}\0{}", plugin.name(), name);
    if guest.rules.count(owner) >= RULES {
        return Ok(Err(format!("a plugin may define {RULES} rules")));
    }
    Ok(match guest.services.limiter.rule(&identity, spec) {
        Ok(rule) => Ok(guest.rules.add(owner, rule)),
        Err(invalid) => Err(invalid.to_string()),
    })
}

fn asked(memory: &[u8], asks: u32, count: u32) -> wasmtime::Result<SmallVec<[Ask; 4]>> {
    if count == 0 || count as usize > ASKS {
        bail!("between 1 and {ASKS} limits are taken at once, not {count}");
    }
    let asks = memory::records::<ASK_SIZE>(memory, asks, count)?.iter();
    Ok(asks
        .map(|ask| Ask { rule: memory::u32_at(ask, 0), key: memory::u32_at(ask, 4), cost: memory::u64_at(ask, 8) })
        .collect())
}

fn standings(mut caller: Caller<'_, Guest>, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let mut bytes = Vec::with_capacity(guest.standings.len() * STANDING_SIZE);
    for standing in &guest.standings {
        for number in [standing.limit, standing.remaining, milliseconds(standing.reset_after)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let elements = guest.standings.len() as u32;
    guest.reply(memory, Reply::List { bytes: bytes.into(), elements, align: 8, at: result })
}

fn take(guest: &mut Guest, asks: &[Ask]) -> wasmtime::Result<Verdict> {
    let mut key_bytes = 0;
    for ask in asks {
        key_bytes += guest.bytes(ask.key)?.len();
    }
    if !guest.exchange()?.reservations.have_room(key_bytes) {
        bail!(
            "the reservations of a request are over the limit: {MOST_RESERVATIONS}, and {MOST_KEY_BYTES} bytes of keys"
        );
    }
    let owner = guest.plugin()?.id();
    let verdict = {
        let mut wanted: SmallVec<[limits::Ask<'_>; 4]> = SmallVec::new();
        for ask in asks {
            let Some(rule) = guest.rules.find(owner, ask.rule) else {
                bail!("rule {} was not defined by this use of the plugin", ask.rule);
            };
            wanted.push(limits::Ask { rule, key: guest.bytes(ask.key)?, cost: ask.cost });
        }
        guest.services.limiter.take(&wanted)
    };
    let decision = match verdict.decision {
        limits::Decision::Admitted => Decision::Admitted,
        limits::Decision::Denied => Decision::Denied,
        limits::Decision::Unavailable => Decision::Unavailable,
    };
    guest.standings.clear();
    guest.standings.extend(verdict.standings.iter().copied());
    let tightest = guest.standings.get(verdict.tightest).copied();
    let reservation = match decision {
        Decision::Admitted => guest.exchange()?.reservations.add(verdict.taken, key_bytes),
        _ => 0,
    };
    Ok(Verdict {
        decision,
        tightest: verdict.tightest as u32,
        limit: tightest.map_or(0, |standing| standing.limit),
        remaining: tightest.map_or(0, |standing| standing.remaining),
        reset_after: tightest.map_or(0, |standing| milliseconds(standing.reset_after)),
        retry_after: milliseconds(verdict.retry_after),
        reservation,
    })
}

impl Verdict {
    fn to_memory(&self) -> [u8; 48] {
        let mut record = [0; 48];
        record[0] = self.decision as u8;
        record[4..8].copy_from_slice(&self.tightest.to_le_bytes());
        let numbers = [self.limit, self.remaining, self.reset_after, self.retry_after, self.reservation];
        for (place, number) in record[8..].as_chunks_mut().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        record
    }
}

/// The reservation, settled once: a second commit or refund finds nothing.
fn reserved(guest: &mut Guest, reservation: u64) -> wasmtime::Result<Option<limits::Taken>> {
    if reservation == 0 {
        return Ok(None);
    }
    match guest.exchange()?.reservations.settle(reservation) {
        Some(taken) => Ok(Some(taken)),
        None => bail!("reservation {reservation} is not one of this request"),
    }
}

/// Whole milliseconds, rounded up: a client that waits so long is not refused for the rest.
fn milliseconds(duration: Duration) -> u64 {
    duration.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX)
}

/// In the WIT's order.
const ALGORITHMS: [limits::Algorithm; 3] =
    [limits::Algorithm::FixedWindow, limits::Algorithm::SlidingWindow, limits::Algorithm::TokenBucket];
const ASK_SIZE: usize = 16;
const STANDING_SIZE: usize = 24;
const RULES: usize = 64;
const ASKS: usize = 32;
const RULE_NAME_BYTES: usize = 128;
