use std::time::Duration;

use smallvec::SmallVec;
use tollgate_limits as limits;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower};
use wasmtime::{StoreContextMut, bail};

use crate::exchange::{MOST_KEY_BYTES, MOST_RESERVATIONS};
use crate::guest::Guest;

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Algorithm {
    #[component(name = "fixed-window")]
    FixedWindow,
    #[component(name = "sliding-window")]
    SlidingWindow,
    #[component(name = "token-bucket")]
    TokenBucket,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Rule {
    name: String,
    algorithm: Algorithm,
    limit: u64,
    window: u64,
    burst: u64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Ask {
    rule: u32,
    key: u32,
    cost: u64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Decision {
    #[component(name = "admitted")]
    Admitted,
    #[component(name = "denied")]
    Denied,
    #[component(name = "unavailable")]
    Unavailable,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Verdict {
    decision: Decision,
    tightest: u32,
    limit: u64,
    remaining: u64,
    #[component(name = "reset-after")]
    reset_after: u64,
    #[component(name = "retry-after")]
    retry_after: u64,
    reservation: u64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Standing {
    limit: u64,
    remaining: u64,
    #[component(name = "reset-after")]
    reset_after: u64,
}

/// The counters are this process's own, so no call waits; a guest can't tell, and the ABI lets a
/// counting store behind a network take their place.
pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("define", |mut store: StoreContextMut<'_, Guest>, (rule,): (Rule,)| {
        Ok((define(store.data_mut(), &rule)?,))
    })?;
    linker.func_wrap("take", |mut store: StoreContextMut<'_, Guest>, (asks,): (Vec<Ask>,)| {
        Ok((take(store.data_mut(), &asks)?,))
    })?;
    linker.func_wrap("standings", |store: StoreContextMut<'_, Guest>, (): ()| {
        let standings = store.data().standings.iter().map(|standing| Standing {
            limit: standing.limit,
            remaining: standing.remaining,
            reset_after: milliseconds(standing.reset_after),
        });
        Ok((standings.collect::<Vec<_>>(),))
    })?;
    linker.func_wrap("commit", |mut store: StoreContextMut<'_, Guest>, (reservation, cost): (u64, u64)| {
        let guest = store.data_mut();
        if let Some(taken) = reserved(guest, reservation)? {
            guest.services.limiter.commit(&taken, cost);
        }
        Ok(())
    })?;
    linker.func_wrap("refund", |mut store: StoreContextMut<'_, Guest>, (reservation,): (u64,)| {
        let guest = store.data_mut();
        if let Some(taken) = reserved(guest, reservation)? {
            guest.services.limiter.refund(&taken);
        }
        Ok(())
    })
}

fn define(guest: &mut Guest, rule: &Rule) -> wasmtime::Result<Result<u32, String>> {
    let plugin = guest.configuring()?;
    if rule.name.len() > RULE_NAME_BYTES {
        return Ok(Err(format!("a rule's name has at most {RULE_NAME_BYTES} bytes")));
    }
    let owner = plugin.id();
    // NUL can't stand in a plugin's name: no two plugins share a counter.
    let identity = format!("{}\0{}", plugin.name(), rule.name);
    let spec = limits::RuleSpec {
        algorithm: match rule.algorithm {
            Algorithm::FixedWindow => limits::Algorithm::FixedWindow,
            Algorithm::SlidingWindow => limits::Algorithm::SlidingWindow,
            Algorithm::TokenBucket => limits::Algorithm::TokenBucket,
        },
        limit: rule.limit,
        window: Duration::from_millis(rule.window),
        burst: rule.burst,
    };
    if guest.rules.count(owner) >= RULES {
        return Ok(Err(format!("a plugin may define {RULES} rules")));
    }
    Ok(match guest.services.limiter.rule(&identity, spec) {
        Ok(rule) => Ok(guest.rules.add(owner, rule)),
        Err(invalid) => Err(invalid.to_string()),
    })
}

fn take(guest: &mut Guest, asks: &[Ask]) -> wasmtime::Result<Verdict> {
    if asks.is_empty() || asks.len() > ASKS {
        bail!("between 1 and {ASKS} limits are taken at once, not {}", asks.len());
    }
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

const RULES: usize = 64;
const ASKS: usize = 32;
const RULE_NAME_BYTES: usize = 128;
