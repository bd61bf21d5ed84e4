//! `ip`: an address that is routed nowhere.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::number::push_digits;
use crate::anonymize::pseudonym::Draw;

const CHARS: usize = 43;

pub(super) const DEFINITION: Definition = Definition {
    name: "ip",
    aliases: &[],
    summary: "an address in 198.18.0.0/15 (RFC 2544) or 2001:db8::/32 (RFC 3849)",
    preserves: "family, prefix length, null and empty",
    accepts: "inet, cidr, text that holds addresses",
    parameters: &[],
    example: "last_ip = \"ip\"",
    effect: Effect::Leaf(build),
    keyed: true,
    draws: Draws::Original,
    unique: Uniqueness::Never,
};

fn build(_arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    Ok(Box::new(Ip))
}

struct Ip;

impl Transformer for Ip {
    fn accepts(&self, form: Form) -> bool {
        matches!(form, Form::Inet { .. } | Form::Text)
    }

    fn longest(&self) -> Length {
        Length::AtMost(CHARS)
    }

    /// The address without its prefix length, in its shortest spelling.
    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        let (address, prefix) = parse(text).ok_or(Mismatch("it is not an IP address"))?;
        // There is one spelling of an IPv4 address.
        if address.is_ipv4() && prefix.is_none() {
            return Ok(text.trim());
        }
        scratch.clear();
        std::fmt::Write::write_fmt(scratch, format_args!("{address}"))
            .map_err(|_| Mismatch("out of memory"))?;
        Ok(scratch)
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let mut draw = Draw::new(value.digest);
        // Of an address without a colon and a slash, which `normalize` has read, all is known.
        if value.form != (Form::Inet { cidr: true }) && !value.text.contains([':', '/']) {
            push_v4(host(&mut draw), out);
            return Ok(Wrote::Same);
        }
        let (address, prefix) = parse(value.text).ok_or(Mismatch("it is not an IP address"))?;
        let mut new = match address {
            IpAddr::V4(_) => IpAddr::V4(host(&mut draw)),
            IpAddr::V6(_) => {
                let mut bytes = [0u8; 16];
                bytes.copy_from_slice(&value.digest[..16]);
                bytes[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
                IpAddr::V6(Ipv6Addr::from(bytes))
            }
        };
        if value.form == (Form::Inet { cidr: true }) {
            new = network(new, prefix);
        }
        match new {
            IpAddr::V4(v4) => push_v4(v4, out),
            IpAddr::V6(v6) => write!(out, "{v6}").map_err(|_| Mismatch("out of memory"))?,
        }
        if let Some(prefix) = prefix {
            out.push(b'/');
            push_digits(u64::from(prefix), 1, out);
        }
        Ok(Wrote::Same)
    }
}

/// An address in 198.18.0.0/15.
fn host(draw: &mut Draw) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc612_0000 | draw.below(1 << 17) as u32)
}

fn push_v4(address: Ipv4Addr, out: &mut Vec<u8>) {
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
fn parse(text: &str) -> Option<(IpAddr, Option<u8>)> {
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
fn network(address: IpAddr, prefix: Option<u8>) -> IpAddr {
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
pub(super) fn canonical(text: &str, cidr: bool) -> Option<String> {
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
