//! Urls of stores, taken apart before references are put in: a password that holds `@` or `/`
//! stays a password, and no part of it can end up in a host name or in a message.

use super::interpolate::{Segment, Template};

/// A store's url in parts; `None` is a part that the url does not have.
#[derive(Default)]
pub(crate) struct Address {
    /// Before `://`, in lower case.
    pub(crate) scheme: String,
    /// Percent-decoded.
    pub(crate) username: Option<Template>,
    /// Percent-decoded.
    pub(crate) password: Option<Template>,
    /// One or more hosts and their ports.
    pub(crate) hosts: Vec<(Template, Option<Template>)>,
    /// The path without its first `/`, percent-decoded.
    pub(crate) path: Option<Template>,
    /// Options in order, percent-decoded.
    pub(crate) options: Vec<(String, Template)>,
}

/// References stand in the text as one character each while it is taken apart: characters of a
/// private plane, which no url holds.
const FIRST: u32 = 0xF_0000;
const LAST: u32 = 0xF_FFFD;

/// Takes a url apart. The error says what is wrong without quoting the url.
pub(crate) fn parse(template: &Template) -> Result<Address, &'static str> {
    let mut text = String::new();
    let mut references = Vec::new();
    for segment in &template.0 {
        match segment {
            Segment::Literal(literal) => {
                if literal.chars().any(|c| (FIRST..=LAST).contains(&u32::from(c))) {
                    return Err("holds a character that no url holds");
                }
                text.push_str(literal);
            }
            reference => {
                let at = u32::try_from(references.len()).ok().map(|at| FIRST + at);
                let mark = at.filter(|at| *at <= LAST).and_then(char::from_u32);
                text.push(mark.ok_or("holds too many references")?);
                references.push(reference.clone());
            }
        }
    }
    Parser { references }.address(&text)
}

struct Parser {
    references: Vec<Segment>,
}

impl Parser {
    fn address(&self, text: &str) -> Result<Address, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("must be a url: `scheme://host/…`")?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
            return Err("must be a url: `scheme://host/…`");
        }
        if rest.contains('#') {
            return Err("holds `#`; in a password write `%23`");
        }
        let (before, options) = rest.split_once('?').map_or((rest, None), |(b, o)| (b, Some(o)));
        let (authority, path) =
            before.split_once('/').map_or((before, None), |(a, p)| (a, Some(p)));
        if [path, options].iter().flatten().any(|part| part.contains('@')) {
            return Err("holds `@` after the host; in a password write `/`, `?`, `@` as `%2F`, \
                        `%3F`, `%40`");
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let mut address = Address { scheme: scheme.to_ascii_lowercase(), ..Address::default() };
        if let Some(user) = user {
            let (name, password) = user.split_once(':').map_or((user, None), |(n, p)| (n, Some(p)));
            address.username = Some(self.template(name)?).filter(|_| !name.is_empty());
            address.password = password.map(|password| self.template(password)).transpose()?;
        }
        if !hosts.is_empty() {
            for host in hosts.split(',') {
                address.hosts.push(self.host(host)?);
            }
        }
        address.path =
            path.filter(|path| !path.is_empty()).map(|path| self.template(path)).transpose()?;
        for option in options.unwrap_or("").split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').ok_or("holds an option without a value")?;
            let key = percent_decoded(key).ok_or("is not a valid url")?;
            address.options.push((key, self.template(value)?));
        }
        Ok(address)
    }

    fn host(&self, text: &str) -> Result<(Template, Option<Template>), &'static str> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or("holds `[` without `]`")?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("holds a wrong port"),
            }
        } else {
            text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        if host.is_empty() {
            return Err("holds an empty host");
        }
        let port = port.filter(|port| !port.is_empty());
        Ok((self.template(host)?, port.map(|port| self.template(port)).transpose()?))
    }

    /// A part with its references back in place and its literal text percent-decoded.
    fn template(&self, text: &str) -> Result<Template, &'static str> {
        let mut segments = Vec::new();
        let mut rest = text;
        let marked = |c: char| (FIRST..=LAST).contains(&u32::from(c));
        loop {
            let at = rest.find(marked).unwrap_or(rest.len());
            if at > 0 {
                let literal = percent_decoded(&rest[..at]).ok_or("is not a valid url")?;
                segments.push(Segment::Literal(literal));
            }
            let Some(mark) = rest[at..].chars().next() else { break };
            let index = (u32::from(mark) - FIRST) as usize;
            segments.extend(self.references.get(index).cloned());
            rest = &rest[at + mark.len_utf8()..];
        }
        Ok(Template(segments))
    }
}

/// Percent-decoding; `None` when an escape is cut off or the result is not UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let byte = digit(0)? * 16 + digit(1)?;
            bytes.push(u8::try_from(byte).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Percent-encodes everything but the characters that every url accepts.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(template: Option<&Template>) -> Option<&str> {
        template.and_then(Template::as_literal)
    }

    fn address(text: &str) -> Address {
        parse(&Template::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn parts() {
        let url = address("mongodb://us%40er:p%2Fw@h1:1,[::1]:2,h3/db%20x?a=b%26c&d=e");
        assert_eq!(url.scheme, "mongodb");
        assert_eq!(literal(url.username.as_ref()), Some("us@er"));
        assert_eq!(literal(url.password.as_ref()), Some("p/w"));
        let hosts: Vec<_> =
            url.hosts.iter().map(|(h, p)| (literal(Some(h)), literal(p.as_ref()))).collect();
        assert_eq!(hosts, [(Some("h1"), Some("1")), (Some("::1"), Some("2")), (Some("h3"), None)]);
        assert_eq!(literal(url.path.as_ref()), Some("db x"));
        assert_eq!(url.options[0].0, "a");
        assert_eq!(literal(Some(&url.options[0].1)), Some("b&c"));
    }

    #[test]
    fn a_reference_stays_within_its_part() {
        let url = address("postgres://${U}:a${P}@${H}:${PORT}/x${D}");
        assert!(matches!(&url.username.unwrap().0[..], [Segment::Variable(name)] if name == "U"));
        assert_eq!(url.password.unwrap().0.len(), 2);
        assert!(matches!(&url.hosts[0].0.0[..], [Segment::Variable(name)] if name == "H"));
        assert_eq!(url.path.unwrap().0.len(), 2);
    }

    #[test]
    fn bad_urls_are_told_without_being_quoted() {
        for text in [
            "h/d",
            "://h",
            "x://h:1#y",
            "x://u:p/w@h/d",
            "x://u:p?w@h/d",
            "x://[::1/d",
            "x://[::1]2/d",
            "x://h,/d",
            "x://%zz",
            "x://%f",
            "x://u%00@h",
            "x://h/?a",
            "x://\u{F0001}/",
        ] {
            assert!(parse(&Template::literal(text)).is_err(), "{text}");
        }
    }
}
