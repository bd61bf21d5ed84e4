//! IP addresses and networks as text and back. Called by the transformer `ip` and by literals.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Writes an address without the machinery of formatting, which costs more than the digits.
pub(crate) fn push_v4(address: Ipv4Addr, out: &mut Vec<u8>) {
    let mut text = [b'.'; 16];
    let mut length = 0;
    for octet in address.octets() {
        let digits = [b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10];
        let skipped = usize::from(octet < 100) + usize::from(octet < 10);
        let digits = &digits[skipped..];
        text[length..length + digits.len()].copy_from_slice(digits);
        length += digits.len() + 1;
    }
    // The last octet has no full stop behind it.
    out.extend_from_slice(&text[..length - 1]);
}

/// Reads an address and its prefix length, if any.
pub(crate) fn parse(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let text = text.trim();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix <= most).then_some((address, prefix))
}

/// Clears the bits right of the prefix.
pub(crate) fn network(address: IpAddr, prefix: Option<u8>) -> IpAddr {
    match (address, prefix) {
        (IpAddr::V4(v4), Some(prefix)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        (IpAddr::V6(v6), Some(prefix)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
        (address, None) => address,
    }
}

/// An address as Postgres prints it: `inet` without the prefix length of a single host.
pub(crate) fn canonical(text: &str, cidr: bool) -> Option<String> {
    let (address, prefix) = parse(text)?;
    let single = if address.is_ipv4() { 32 } else { 128 };
    if cidr {
        let prefix = prefix.unwrap_or(single);
        let same = network(address, Some(prefix)) == address;
        return same.then(|| format!("{address}/{prefix}"));
    }
    match prefix {
        Some(prefix) if prefix != single => Some(format!("{address}/{prefix}")),
        _ => Some(address.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_written_as_the_library_writes_it(bits: u32) {
            let (address, mut out) = (Ipv4Addr::from_bits(bits), Vec::new());
            push_v4(address, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
    }
}
