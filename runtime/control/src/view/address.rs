use tollgate_model::condition::AddressBlock;

/// As in a URL: IPv6 addresses get their brackets.
pub(super) fn host(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

pub(super) fn host_and_port(name: &str, port: u16) -> String {
    format!("{}:{port}", host(name))
}

/// A single address is written without its prefix.
pub(super) fn block(block: &AddressBlock) -> String {
    let bits = if block.address.is_ipv4() { 32 } else { 128 };
    if block.prefix == bits { block.address.to_string() } else { format!("{}/{}", block.address, block.prefix) }
}
