//! Where in a document something is, for messages: names that no rule spells out are data, and
//! stand there only where so many documents have them that they tell of none.

use std::fmt;

use super::paths::push_name;
use super::pattern::shape;

/// How a path is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Style {
    /// `$.a[*]`.
    Json,
    /// `a[]`.
    Mongodb,
}

impl Style {
    /// What an element of an array is called.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Json => "[*]",
            Self::Mongodb => "[]",
        }
    }
}

/// A step of a route.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Into an array.
    Element(Style),
    /// Into a field.
    Name {
        /// Its name, as the document has it.
        name: Vec<u8>,
        /// Whether a rule spells it out.
        spelled: bool,
    },
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(false))
    }
}

impl Part {
    /// The step without what may be data; `frequent` says whether many documents have it.
    fn show(&self, frequent: bool) -> String {
        match self {
            Self::Element(style) => style.element().to_owned(),
            Self::Name { name, spelled } => show_name(name, *spelled, frequent),
        }
    }
}

/// A name as a message may show it.
pub(crate) fn show_name(name: &[u8], spelled: bool, frequent: bool) -> String {
    if let (true, Ok(text)) = (spelled, std::str::from_utf8(name)) {
        return text.to_owned();
    }
    let outline = shape(name);
    if frequent && !name.is_empty() && outline.as_bytes() == name {
        return outline;
    }
    if !name.is_empty() && name.iter().all(u8::is_ascii_digit) {
        return "#".to_owned();
    }
    if outline.contains("<email>") { "<email>" } else { HIDDEN }.to_owned()
}

/// What stands for a name that is not shown.
pub(crate) const HIDDEN: &str = "<…>";

/// Whether so many of the documents looked at have a name that it tells of none of them.
pub(crate) fn is_frequent(having: u64, looked_at: u64) -> bool {
    having >= 2 && having.saturating_mul(100) > looked_at
}

/// A way into a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    /// How it is written.
    pub(crate) style: Style,
    /// Its steps.
    pub(crate) parts: Vec<Part>,
}

impl Route {
    /// The path as a rule would write it; `frequent` says whether many documents have the field
    /// to which the first steps lead.
    pub(crate) fn show(&self, frequent: &dyn Fn(&[Part]) -> bool) -> String {
        let mut path = if self.style == Style::Json { "$".to_owned() } else { String::new() };
        for (index, part) in self.parts.iter().enumerate() {
            let unknown = matches!(part, Part::Name { spelled: false, .. });
            let many = unknown && self.parts.get(..=index).is_some_and(frequent);
            let text = part.show(many);
            match part {
                Part::Element(_) => path.push_str(&text),
                Part::Name { .. } => {
                    push_name(&text, if path.is_empty() { "" } else { "." }, &mut path);
                }
            }
        }
        path
    }

    /// The route to something inside a text that this one leads to.
    pub(crate) fn join(mut self, inner: Self) -> Self {
        self.parts.extend(inner.parts);
        self
    }
}

/// Whether a JSON text has the field that `parts` lead to.
pub(crate) fn json_has(text: &[u8], parts: &[Part]) -> bool {
    fn has(value: &serde_json::Value, parts: &[Part]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return true };
        match (part, value) {
            (Part::Element(_), serde_json::Value::Array(items)) => {
                items.iter().any(|item| has(item, rest))
            }
            (Part::Name { name, .. }, serde_json::Value::Object(fields)) => {
                let name = std::str::from_utf8(name).ok();
                name.and_then(|name| fields.get(name)).is_some_and(|value| has(value, rest))
            }
            _ => false,
        }
    }
    serde_json::from_slice(text).is_ok_and(|value| has(&value, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_where_they_are_spelled_or_frequent_words() {
        let show = |name: &str, frequent| show_name(name.as_bytes(), false, frequent);
        assert_eq!(show_name(b"Ann Lee", true, false), "Ann Lee");
        assert_eq!(show("secret", true), "secret");
        for (name, hidden) in [
            ("ann", HIDDEN),
            ("ann7", HIDDEN),
            ("user:ann", HIDDEN),
            ("", HIDDEN),
            ("4711", "#"),
            ("ann@x.org", "<email>"),
        ] {
            assert_eq!(show(name, false), hidden, "{name}");
        }
        for name in ["Ann Lee", "ann@x.org", "José", "4711", "ann7"] {
            assert_ne!(show(name, true), name);
        }
        assert_eq!(show_name(&[0xff], false, true), HIDDEN);
        assert!(is_frequent(2, 199) && is_frequent(21, 2000) && !is_frequent(1, 1));
        assert!(!is_frequent(2, 200) && !is_frequent(20, 2000));
    }
}
