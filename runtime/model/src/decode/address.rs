//! Hosts, ports and address blocks.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use super::{Decode, Place, text};
use crate::Problems;
use crate::condition::AddressBlock;
use crate::problem::Complaint;

/// `host`, `host:port` or `[::1]:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Lower case; an IPv6 address without its brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: Option<u16>,
}

pub fn parse_authority(text: &str) -> Result<Authority, Complaint> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
            address.parse::<Ipv6Addr>().map_err(|_| "not an IPv6 address in the brackets")?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or("only a port may follow the bracket")?),
            };
            (address.to_ascii_lowercase(), port)
        }
        None if text.matches(':').count() > 1 => {
            return Err(Complaint::new("not a host and a port", "IPv6 addresses stand in brackets: \"[::1]:8080\""));
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            check_host(host)?;
            (host.to_ascii_lowercase(), port)
        }
    };
    Ok(Authority { host, port: port.map(parse_port).transpose()? })
}

/// A DNS name (RFC 1123, underscores allowed as they occur in practice) or an IPv4 address.
pub(super) fn check_host(host: &str) -> Result<(), Complaint> {
    let label_fits = |label: &str| {
        let allowed = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (1..=63).contains(&label.len()) && allowed && !label.starts_with('-') && !label.ends_with('-')
    };
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    if !host.is_ascii() {
        return Err(Complaint::new("the host is not ASCII", "write international names in their `xn--` form"));
    }
    if host.ends_with('.') {
        return Err("the host ends with a dot".into());
    }
    // Digits and dots only: an address was meant, and resolvers disagree about odd ones.
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && host.parse::<IpAddr>().is_err() {
        return Err("not an IPv4 address".into());
    }
    if host.len() > 253 || !host.split('.').all(label_fits) {
        return Err("not a host name or an address".into());
    }
    Ok(())
}

fn parse_port(text: &str) -> Result<u16, Complaint> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if port > 0 && digits => Ok(port),
        _ => Err("the port is not a number from 1 to 65535".into()),
    }
}

impl Decode for AddressBlock {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<AddressBlock> {
        text(value, place, problems, "an address block such as \"10.0.0.0/8\"", parse_block)
    }
}

fn parse_block(text: &str) -> Result<AddressBlock, Complaint> {
    let malformed = || Complaint::new("not an address or an address block", "as in \"192.0.2.7\" or \"10.0.0.0/8\"");
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| malformed())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| malformed())?,
        Some(_) => return Err(malformed()),
    };
    if prefix > bits {
        return Err(format!("the prefix is longer than the {bits} bits of the address").into());
    }
    if has_bits_after(address, prefix) {
        return Err(Complaint::new(
            "the address has bits set after the prefix",
            "write the block's first address, as in \"10.0.0.0/8\"",
        ));
    }
    Ok(AddressBlock { address, prefix })
}

fn has_bits_after(address: IpAddr, prefix: u8) -> bool {
    match address {
        IpAddr::V4(address) => u32::MAX.checked_shr(prefix.into()).is_some_and(|mask| address.to_bits() & mask != 0),
        IpAddr::V6(address) => u128::MAX.checked_shr(prefix.into()).is_some_and(|mask| address.to_bits() & mask != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let read = |text: &str| parse_authority(text).map(|a| (a.host, a.port));
        assert_eq!(read("Example.COM:80"), Ok(("example.com".into(), Some(80))));
        assert_eq!(read("10.0.0.1"), Ok(("10.0.0.1".into(), None)));
        assert_eq!(read("[::1]:8080"), Ok(("::1".into(), Some(8080))));
        for text in [
            "", ":80", "a:", "a:0", "a:65536", "a:+8", "::1", "[::1", "[::1]8", "[x]:1", "a b", "-a", "1.2.3", "ä",
            "a.",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn address_blocks() {
        let read = |text: &str| parse_block(text).map(|block| (block.address.to_string(), block.prefix));
        assert_eq!(read("10.0.0.0/8"), Ok(("10.0.0.0".into(), 8)));
        assert_eq!(read("0.0.0.0/0"), Ok(("0.0.0.0".into(), 0)));
        assert_eq!(read("192.0.2.7"), Ok(("192.0.2.7".into(), 32)));
        assert_eq!(read("fd00::/8"), Ok(("fd00::".into(), 8)));
        assert_eq!(read("::1"), Ok(("::1".into(), 128)));
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "fd00::1/8", "localhost"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
