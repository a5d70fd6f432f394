//! The gateway as this crate calls it, one module an interface of the ABI: the generated imports
//! in wasm, the fake of [`crate::testing`] natively. Both have the same names and signatures.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::guest::bindings::tollgate::plugin::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::*;
