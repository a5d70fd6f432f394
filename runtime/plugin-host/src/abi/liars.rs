//! Guests that lie: about where they have memory, about what they return, about being ready. A lie costs the call that
//! it is told in, and nothing else.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tollgate_limits::{Local, Standing};
use wasmtime::{Module, Store};
use wit_component::StringEncoding;

use super::Manifest;
use crate::exports::Exports;
use crate::guest::Guest;
use crate::instance::{Fault, bounded_store, call};
use crate::module::Hooks;
use crate::module::form::{to_core, world};
use crate::{HookErrorKind, HookLimits, Host, HostConfig};

/// A plugin, as far as a test writes it; the rest does nothing.
#[derive(Clone, Copy)]
struct Script<'a> {
    /// What `on-request` does.
    hook: &'a str,
    /// Where `cabi_realloc` says that the block is.
    realloc: &'a str,
    /// Where `describe` says that the manifest is.
    describe: &'a str,
    /// Beside the functions that every plugin has.
    more: &'a str,
}

/// Wants 16 random bytes, and has room for them and for the list of them. Its manifest is all zeros.
const HONEST: Script<'static> = Script {
    hook: "(call $bytes (i32.const 16) (i32.const 8))",
    realloc: "(i32.const 1024)",
    describe: "(i32.const 2048)",
    more: "",
};

/// Where the memory of a script ends: it has one page.
const END: u32 = 65536;

impl Script<'_> {
    /// As it would come out of the plugins folder.
    fn module(self) -> Vec<u8> {
        let Script { hook, realloc, describe, more } = self;
        let text = format!(
            r#"(module
                (import "tollgate:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
                (import "tollgate:plugin/limiter@0.1.0" "standings" (func $standings (param i32)))
                (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "describe") (result i32) {describe})
                (func (export "configure") (param i32 i32 i32) (result i32) unreachable)
                (func (export "release") (param i32))
                (func (export "on-request") (param i32) (result i32) {hook} (i32.const 0))
                (func (export "on-request-body") (param i32 i32) (result i32) (i32.const 0))
                (func (export "on-response") (param i32))
                (func (export "on-response-body") (param i32 i32))
                (func (export "on-log") (param i32 i32 i32 i32 i32))
                {more})"#
        );
        let mut module = wat::parse_str(text).unwrap();
        let (resolve, world) = world().unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        to_core(&module).unwrap()
    }
}

/// Has room for one instance: one that a liar left behind would be missed.
struct Node {
    host: Arc<Host>,
    _folder: TempDir,
}

impl Node {
    fn start() -> Node {
        let folder = tempfile::tempdir().unwrap();
        let config = HostConfig { instances: 1, ..HostConfig::new(folder.path().into(), folder.path().into()) };
        Node { host: Host::start(config, Arc::new(Local::new())).unwrap(), _folder: folder }
    }

    async fn guest(&self, script: Script<'_>) -> wasmtime::Result<Running> {
        let module = Module::from_binary(&self.host.engine, &script.module()).unwrap();
        let mut store = bounded_store(&self.host.engine, Guest::new(Arc::clone(&self.host.services), 1 << 20));
        let linked = self.host.linker.instantiate_async(&mut store, &module).await?;
        let exports = Exports::find(&mut store, &linked, Hooks { request: true, ..Hooks::default() })?;
        Ok(Running { store, exports })
    }

    /// The hook of this liar fails, and with these words.
    async fn assert_fails(&self, script: Script<'_>, words: &str) {
        let fault = self.guest(script).await.unwrap().hook().await.unwrap_err();
        assert!(fault.kind == HookErrorKind::Trap && fault.detail.contains(words), "{fault:?} is not {words:?}");
    }

    async fn assert_unharmed(&self) {
        let mut guest = self.guest(HONEST).await.unwrap();
        assert_eq!(guest.hook().await.unwrap(), 0);
        assert_eq!(guest.memory(8..16), words(1024, 16));
        assert!(!guest.is_zero(1024..1040), "it has its bytes");
    }
}

struct Running {
    store: Store<Guest>,
    exports: Exports,
}

impl Running {
    async fn hook(&mut self) -> Result<u32, Fault> {
        let hook = self.exports.on_request.as_ref().unwrap();
        call(&mut self.store, hook, 1, LIMITS).await
    }

    async fn describe(&mut self) -> Result<Manifest, Fault> {
        self.exports.describe(&mut self.store, LIMITS).await
    }

    fn memory(&self, range: Range<usize>) -> &[u8] {
        let memory = self.store.data().linear.unwrap();
        &memory.data(&self.store)[range]
    }

    fn is_zero(&self, range: Range<usize>) -> bool {
        self.memory(range).iter().all(|byte| *byte == 0)
    }
}

/// So long that a busy machine changes nothing.
const LIMITS: HookLimits = HookLimits { cpu: Duration::from_secs(20), wall: Duration::from_secs(60) };

/// As they are in memory: of a list, where it is and how many elements it has.
fn words(first: u32, second: u32) -> [u8; 8] {
    (u64::from(second) << 32 | u64::from(first)).to_le_bytes()
}

#[tokio::test]
async fn a_block_outside_of_the_memory_is_not_written() {
    let node = Node::start();
    for start in [0xffff_fff0, END, END - 8] {
        let realloc = format!("(i32.const {start})");
        let mut guest = node.guest(Script { realloc: &realloc, ..HONEST }).await.unwrap();
        let fault = guest.hook().await.unwrap_err();
        let expected = format!("16 bytes at {start} are not in the guest's memory");
        assert!(fault.detail.contains(&expected), "{fault:?} is not {expected:?}");
        assert!(guest.is_zero(0..END as usize), "nor is a part of the block at {start}, or the list of it");
    }
    node.assert_unharmed().await;
}

#[tokio::test]
async fn a_result_outside_of_the_memory_is_not_written() {
    let node = Node::start();
    for place in [0xffff_fffc, END, END - 4] {
        for length in [0, 16] {
            let hook = format!("(call $bytes (i32.const {length}) (i32.const {place}))");
            let mut guest = node.guest(Script { hook: &hook, ..HONEST }).await.unwrap();
            let fault = guest.hook().await.unwrap_err();
            let expected = format!("8 bytes at {place} are not in the guest's memory");
            assert!(fault.detail.contains(&expected), "{length} bytes: {fault:?} is not {expected:?}");
            assert!(guest.is_zero(END as usize - 4..END as usize), "nor is a part of it");
        }
    }
    node.assert_unharmed().await;
}

#[tokio::test]
async fn an_allocator_that_does_something_else_fails_its_own_call() {
    let node = Node::start();
    node.assert_fails(Script { realloc: "unreachable", ..HONEST }, "`unreachable` instruction executed").await;
    // It is answered, and with that all that was to be handed over is: nothing is left for who asked before.
    let asks_for_nothing = "(call $bytes (i32.const 0) (i32.const 32)) (i32.const 1024)";
    node.assert_fails(Script { realloc: asks_for_nothing, ..HONEST }, "no block is wanted").await;
    let asks_always = "(call $bytes (i32.const 4) (i32.const 32)) (i32.const 1024)";
    node.assert_fails(Script { realloc: asks_always, ..HONEST }, "call stack exhausted").await;
    node.assert_unharmed().await;
}

/// Of two calls, one within the other, each is given what it asked for, or nothing.
#[tokio::test]
async fn a_call_within_another_one_is_not_given_what_is_the_others() {
    let node = Node::start();
    let realloc = "(if (i32.eqz (global.get $asked))
            (then
                (global.set $asked (i32.const 1))
                (call $bytes (i32.const 4) (i32.const 32))))
        (i32.const 1024)";
    let more = "(global $asked (mut i32) (i32.const 0))";
    let mut guest = node.guest(Script { realloc, more, ..HONEST }).await.unwrap();
    let fault = guest.hook().await.unwrap_err();
    assert!(fault.detail.contains("no block is wanted"), "{fault:?}");
    assert_eq!(guest.memory(32..40), words(1024, 4), "the inner one is answered");
    assert!(guest.is_zero(8..16) && guest.is_zero(1028..1040), "the outer one is not");
    drop(guest);
    node.assert_unharmed().await;
}

#[tokio::test]
async fn a_start_function_is_handed_nothing() {
    let node = Node::start();
    let more = "(start $begin) (func $begin (call $bytes (i32.const 16) (i32.const 8)))";
    let Err(error) = node.guest(Script { more, ..HONEST }).await else { panic!("its memory was not known yet") };
    let shown = format!("{error:#}");
    assert!(shown.contains("nothing may be passed by pointer before the instance is ready"), "{shown}");
    node.assert_unharmed().await;
}

#[tokio::test]
async fn a_manifest_outside_of_the_memory_is_not_read() {
    let node = Node::start();
    for start in [0xffff_fff0, END, END - 47] {
        let describe = format!("(i32.const {start})");
        let mut guest = node.guest(Script { describe: &describe, ..HONEST }).await.unwrap();
        let fault = guest.describe().await.unwrap_err();
        let expected = format!("48 bytes at {start} are not in the guest's memory");
        assert!(fault.detail.contains(&expected), "{fault:?} is not {expected:?}");
    }
    let empty = node.guest(HONEST).await.unwrap().describe().await.unwrap();
    assert!(empty.name.is_empty() && empty.capabilities.is_empty() && empty.settings_schema.is_empty(), "{empty:?}");
    node.assert_unharmed().await;
}

#[tokio::test]
async fn what_a_manifest_points_to_is_in_the_memory() {
    let node = Node::start();
    let places = [("name", 0), ("version", 8), ("description", 16), ("capabilities", 28), ("settings schema", 40)];
    for (what, place) in places {
        for start in [0xffff_fff0, END, END - 4] {
            let describe = format!(
                "(i32.store (i32.const {at}) (i32.const {start}))
                (i32.store (i32.const {length_at}) (i32.const 5))
                (i32.const 2048)",
                at = 2048 + place,
                length_at = 2048 + place + 4,
            );
            let mut guest = node.guest(Script { describe: &describe, ..HONEST }).await.unwrap();
            let fault = guest.describe().await.unwrap_err();
            let expected = format!("5 bytes at {start} are not in the guest's memory");
            assert!(fault.detail.contains(&expected), "{what}: {fault:?} is not {expected:?}");
        }
    }
    node.assert_unharmed().await;
}

/// An allocator may not return such a block, but it harms nobody: the host writes bytes, not numbers.
#[tokio::test]
async fn a_block_that_is_not_aligned_is_written_all_the_same() {
    let node = Node::start();
    let realloc = "(i32.store (i32.const 32) (local.get 2))
        (i32.store (i32.const 36) (local.get 3))
        (i32.const 1001)";
    let hook = "(call $standings (i32.const 9))";
    let mut guest = node.guest(Script { hook, realloc, ..HONEST }).await.unwrap();
    let standing = Standing { limit: 5, remaining: 3, reset_after: Duration::from_millis(1500) };
    guest.store.data_mut().standings.push(standing);
    guest.hook().await.unwrap();
    assert_eq!(guest.memory(32..40), words(8, 24), "the alignment and the length that were asked for");
    assert_eq!(guest.memory(9..17), words(1001, 1));
    assert_eq!(guest.memory(1001..1025), [5_u64, 3, 1500].map(u64::to_le_bytes).concat());
}

#[tokio::test]
async fn a_block_may_end_with_the_memory_or_be_in_pages_that_were_just_added() {
    let node = Node::start();
    let next_page = "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))";
    for (realloc, start) in [("(i32.const 65520)", END - 16), (next_page, END)] {
        let mut guest = node.guest(Script { realloc, ..HONEST }).await.unwrap();
        guest.hook().await.unwrap();
        assert_eq!(guest.memory(8..16), words(start, 16));
        assert!(!guest.is_zero(start as usize..start as usize + 16), "the bytes at {start}");
    }
}

/// A pointer that is not null all the same, as Rust wants of an empty list.
#[tokio::test]
async fn for_nothing_no_block_is_asked_for() {
    let node = Node::start();
    let hook = "(call $bytes (i32.const 0) (i32.const 8))";
    let mut guest = node.guest(Script { hook, realloc: "unreachable", ..HONEST }).await.unwrap();
    guest.hook().await.unwrap();
    assert_eq!(guest.memory(8..16), words(1, 0));
}
