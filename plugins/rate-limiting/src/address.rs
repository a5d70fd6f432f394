//! Which part of an address tells clients apart: who has an IPv6 network has 2^64 addresses in it.

use std::net::IpAddr;

use tollgate_plugin_sdk::prelude::*;

/// Leading bits that are counted by.
#[derive(Clone, Copy, Debug)]
pub struct Networks {
    pub ipv4: u8,
    pub ipv6: u8,
}

impl Networks {
    /// What an address is counted by: itself, or its network in 4 or 16 bytes, which is no address's
    /// text.
    pub fn key(self, address: Value) -> Value {
        match address.text().parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) if self.ipv4 >= 32 => address,
            Ok(IpAddr::V4(v4)) => Value::new((v4.to_bits() & (u32::MAX << (32 - self.ipv4))).to_be_bytes()),
            Ok(IpAddr::V6(_)) if self.ipv6 >= 128 => address,
            Ok(IpAddr::V6(v6)) => Value::new((v6.to_bits() & (u128::MAX << (128 - self.ipv6))).to_be_bytes()),
            Err(_) => address,
        }
    }
}
