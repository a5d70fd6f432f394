use std::hint::black_box;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use tollgate_plugin_sdk::{Body, Headers, Value, clock, log};

use crate::settings::Settings;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Never returns.
    Loop,
    /// Runs for less than a tick, sleeps for a moment, and never ends.
    Naps,
    /// Takes memory until there is none.
    Memory,
    /// Takes and gives back `times` blocks of memory, each by `bytes` larger than the last.
    Blocks,
    /// Panics.
    Trap,
    /// Sets headers of `bytes` bytes, a thousand of them.
    Header,
    /// Logs a line of `bytes` bytes, `times` times.
    Log,
    /// Writes ever larger pieces of body until one is refused.
    Body,
    /// Sleeps for `milliseconds`.
    Sleep,
    /// Calls itself until the stack is used up.
    Recursion,
    /// Answers with `bytes` bytes.
    Answer,
    /// Uses a value that was never handed out.
    Handle,
    /// Uses a value of an earlier request.
    Stale,
    /// Asks for more randomness than a call may.
    Random,
    /// Makes values until there are `times` of them, of `bytes` bytes.
    Values,
}

impl Attack {
    pub fn named(name: &str) -> Option<Self> {
        let name: serde::de::value::StrDeserializer<Error> = name.into_deserializer();
        Attack::deserialize(name).ok()
    }

    /// Makes an attack that needs neither head nor body; the others do nothing here.
    pub fn make(self, settings: &Settings) {
        match self {
            Attack::Loop => loop {
                black_box(());
            },
            Attack::Naps => nap_forever(),
            Attack::Memory => take_all_memory(),
            Attack::Blocks => {
                (1..=settings.times).for_each(|block| drop(black_box(vec![1u8; block as usize * settings.bytes])))
            }
            Attack::Trap => panic!("hostile: trapped as told"),
            Attack::Log => (0..settings.times).for_each(|_| log::write(log::Level::Error, &"x".repeat(settings.bytes))),
            Attack::Sleep => clock::sleep(Duration::from_millis(settings.milliseconds.into())),
            Attack::Recursion => assert!(black_box(recurse(black_box(0))) > 0),
            Attack::Handle => drop(Value::from_raw(0xdead_beef).map(Value::read)),
            Attack::Random => drop(tollgate_plugin_sdk::random::bytes(u32::MAX)),
            Attack::Values => (0..settings.times).for_each(|_| make_value(settings.bytes)),
            Attack::Header | Attack::Body | Attack::Answer | Attack::Stale => {}
        }
    }
}

pub fn giant_headers(headers: &mut Headers, settings: &Settings) {
    let giant = "x".repeat(settings.bytes);
    for number in 0..settings.times {
        headers.set(&format!("x-giant-{number}"), &giant);
    }
}

fn make_value(bytes: usize) {
    black_box(Value::new(vec![b'x'; bytes]));
}

pub fn endless_body(body: &mut Body) {
    let mut piece = vec![b'x'; 1 << 16];
    while body.write(&piece).is_ok() {
        piece.extend_from_within(..);
    }
}

fn nap_forever() -> ! {
    loop {
        let started = clock::monotonic();
        while clock::monotonic() - started < Duration::from_millis(3) {}
        clock::sleep(Duration::ZERO);
    }
}

fn take_all_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1u8; 1 << 20]));
    }
}

/// Not a tail call: the frame is needed after the inner call returned.
#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + black_box(frame)[0]
}
