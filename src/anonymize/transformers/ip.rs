//! `ip`: an address that is routed nowhere.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use crate::anonymize::forms::address::{network, parse, push_v4};
use crate::anonymize::forms::number::push_digits;
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
