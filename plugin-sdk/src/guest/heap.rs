//! The module's allocator: talc, whose first region is part of the module's own memory.
//!
//! The standard library's allocator grows the memory as its first act. An instance that lives for
//! one request would have the kernel open and close that memory again each time; one that stays
//! within its first region never asks.

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Enough for a few configured uses. The gateway writes over the first 96 KiB of an instance that is over, and this is
/// the end of them: behind a stack of 32 KiB, and some 40 KiB of data.
const FIRST_REGION: usize = 16 * 1024;
const PAGE: usize = 64 * 1024;
/// What the allocator adds of its own to an allocation, generously.
const OVERHEAD: usize = 256;

#[global_allocator]
static HEAP: TalcSyncCell<Regions, WasmBinning> = TalcSyncCell::new_wasm(Regions { first_taken: false, end: None });

/// The first region, then as many pages as an allocation needs; pages that follow one another are one region.
#[derive(Debug)]
struct Regions {
    first_taken: bool,
    /// Of the pages.
    end: Option<NonNull<u8>>,
}

// SAFETY: allocates nothing itself.
#[allow(unsafe_code)]
unsafe impl Source for Regions {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        static mut FIRST: [MaybeUninit<u8>; FIRST_REGION] = [MaybeUninit::uninit(); FIRST_REGION];

        if !core::mem::replace(&mut talc.source.first_taken, true) {
            // SAFETY: handed over once, and named nowhere else; modules have one thread.
            return unsafe { talc.claim((&raw mut FIRST).cast(), FIRST_REGION) }.map(drop).ok_or(());
        }
        let pages = (layout.size() + layout.align() + OVERHEAD).div_ceil(PAGE);
        let start = match memory_grow::<0>(pages) {
            usize::MAX => return Err(()),
            pages_before => (pages_before * PAGE) as *mut u8,
        };
        let bytes = pages * PAGE;
        talc.source.end = match talc.source.end.take() {
            // SAFETY: `end` is of the last claim or extension, and the pages behind it were just added.
            Some(end) if end.as_ptr() == start => Some(unsafe { talc.extend(end, start.wrapping_add(bytes)) }),
            // SAFETY: pages that were just added are nobody else's.
            _ => unsafe { talc.claim(start, bytes) },
        };
        talc.source.end.map(drop).ok_or(())
    }
}
