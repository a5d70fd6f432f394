//! When an entry of a chain runs.

pub(crate) mod matching;

use std::net::IpAddr;

/// All stated parts must hold (`when = { paths = ["/admin"], not = { methods = ["GET"] } }`).
/// Each list is a part, within which any of the values will do; so is each header and each query
/// parameter, as on a route. An empty condition always holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    pub methods: Vec<http::Method>,
    pub hosts: Vec<crate::entity::HostPattern>,
    pub paths: Vec<crate::entity::PathPattern>,
    pub headers: Vec<crate::entity::HeaderMatch>,
    pub query: Vec<crate::entity::QueryMatch>,
    /// Client addresses or CIDR blocks.
    pub addresses: Vec<AddressBlock>,
    /// None of its stated parts may hold.
    pub not: Option<Box<Condition>>,
}

/// A CIDR block; a single address has the full prefix (32 or 128).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock {
    pub address: IpAddr,
    /// In bits. Bits of the address behind it do not count.
    pub prefix: u8,
}

/// What routing and conditions may ask of a request.
pub trait RequestFacts {
    fn method(&self) -> &http::Method;
    /// Lower case, without port; empty when there is none.
    fn host(&self) -> &str;
    /// Normalised.
    fn path(&self) -> &str;
    /// Without the question mark; empty when there is none.
    fn query(&self) -> &str;
    fn headers(&self) -> &http::HeaderMap;
    fn client_address(&self) -> IpAddr;
}

impl Condition {
    /// Whether a request meets the condition.
    pub fn holds(&self, facts: &impl RequestFacts) -> bool {
        self.each_part_is(true, facts)
    }

    fn each_part_is(&self, expected: bool, facts: &impl RequestFacts) -> bool {
        let address = facts.client_address();
        list_is(expected, &self.methods, |method| method == facts.method())
            && list_is(expected, &self.hosts, |host| host.matches(facts.host()))
            && list_is(expected, &self.addresses, |block| block.contains(address))
            && list_is(expected, &self.paths, |path| path.matches(facts.path()))
            && self.headers.iter().all(|header| header.matches(facts.headers()) == expected)
            && self.query.iter().all(|parameter| parameter.matches(facts.query()) == expected)
            && self.not.as_ref().is_none_or(|not| not.each_part_is(false, facts) == expected)
    }
}

/// An empty list states nothing.
fn list_is<T>(expected: bool, values: &[T], holds: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(holds) == expected
}

impl AddressBlock {
    /// IPv4 addresses mapped into IPv6 (`::ffff:10.0.0.1`, what a dual-stack socket reports) count as
    /// IPv4, on both sides.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.canonical(), address.to_canonical()) {
            ((IpAddr::V4(block), prefix), IpAddr::V4(address)) => {
                let ignored = 32_u32.saturating_sub(prefix.into());
                (block.to_bits() ^ address.to_bits()).checked_shr(ignored).unwrap_or(0) == 0
            }
            ((IpAddr::V6(block), prefix), IpAddr::V6(address)) => {
                let ignored = 128_u32.saturating_sub(prefix.into());
                (block.to_bits() ^ address.to_bits()).checked_shr(ignored).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// A block of mapped addresses is a block of IPv4 addresses; a wider one stays IPv6.
    fn canonical(&self) -> (IpAddr, u8) {
        match (self.address.to_canonical(), self.prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => (address, prefix),
            _ => (self.address, self.prefix),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
