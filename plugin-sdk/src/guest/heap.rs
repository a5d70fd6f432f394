//! The module's allocator: talc, whose first region is part of the module's own memory.
//!
//! The standard library's allocator grows the memory as its first act. An instance that lives for
//! one request would have the kernel open and close that memory again each time; one that stays
//! within its first region never asks.

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::mem::MaybeUninit;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

const FIRST_REGION: usize = 64 * 1024;
const PAGE: usize = 64 * 1024;
/// What the allocator adds of its own to an allocation, generously.
const OVERHEAD: usize = 256;

#[global_allocator]
static HEAP: TalcSyncCell<Regions, WasmBinning> = TalcSyncCell::new_wasm(Regions { first_taken: false });

/// The first region, then as many pages as an allocation needs.
#[derive(Debug)]
struct Regions {
    first_taken: bool,
}

// SAFETY: allocates nothing itself.
#[allow(unsafe_code)]
unsafe impl Source for Regions {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        static mut FIRST: [MaybeUninit<u8>; FIRST_REGION] = [MaybeUninit::uninit(); FIRST_REGION];

        if !core::mem::replace(&mut talc.source.first_taken, true) {
            // SAFETY: handed over once, and named nowhere else.
            return unsafe { talc.claim((&raw mut FIRST).cast(), FIRST_REGION) }.map(drop).ok_or(());
        }
        let pages = (layout.size() + layout.align() + OVERHEAD).div_ceil(PAGE);
        match memory_grow::<0>(pages) {
            usize::MAX => Err(()),
            // SAFETY: pages that were just added are nobody else's.
            end => unsafe { talc.claim((end * PAGE) as *mut u8, pages * PAGE) }.map(drop).ok_or(()),
        }
    }
}
