//! Paths into documents, as rules write them.

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The field of this name.
    Key(String),
    /// Any field.
    AnyKey,
    /// Any element of an array.
    Element,
    /// Any number of fields and elements, none too.
    Deep,
}

impl Step {
    /// Whether it goes over names that it does not spell out.
    pub(crate) fn is_star(&self) -> bool {
        matches!(self, Self::AnyKey | Self::Deep)
    }
}

/// A path with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    /// As the rule writes it.
    pub(crate) text: String,
    /// Its steps; none for the whole value.
    pub(crate) steps: Vec<Step>,
}

/// How specific a path is.
pub(crate) type Rank = (bool, usize, bool, std::cmp::Reverse<usize>);

impl PathPattern {
    /// Reads `$`, `$.a.b`, `$.a[*].b`, `$.*.b`, `$..b`, `$['a.b']`.
    pub(crate) fn json(text: &str) -> Result<Self, String> {
        let mut rest = text
            .strip_prefix('$')
            .ok_or_else(|| "a JSON path begins with `$`, such as `$.a.b`".to_owned())?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix("[*]") {
                steps.push(Step::Element);
                rest = tail;
            } else if let Some(quoted) = quoted(rest) {
                let (name, tail) = quoted?;
                steps.push(name);
                rest = tail;
            } else if rest.starts_with('[') {
                return Err("only `[*]` and `['name']` are built".to_owned());
            } else if let Some(tail) = rest.strip_prefix('.') {
                let tail = match tail.strip_prefix('.') {
                    Some(tail) => {
                        steps.push(Step::Deep);
                        tail
                    }
                    None => tail,
                };
                if steps.last() == Some(&Step::Deep) && tail.starts_with("['") {
                    rest = tail;
                    continue;
                }
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                steps.push(field(&tail[..end])?);
                rest = &tail[end..];
            } else {
                return Err("after `$` comes `.`, `..` or `[*]`".to_owned());
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Reads `a.b`, `a[].b`, `a.*.b`, `**.b`, `*`, `a['b.c']`.
    pub(crate) fn mongodb(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut steps: Vec<Step> = Vec::new();
        loop {
            if let Some(quoted) = quoted(rest) {
                let (name, tail) = quoted?;
                steps.push(name);
                rest = tail;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                steps.push(match &rest[..end] {
                    "**" if !rest[end..].starts_with('[') => Step::Deep,
                    name if name.contains(']') => return Err("`]` without `[`".to_owned()),
                    name => field(name)?,
                });
                rest = &rest[end..];
            }
            while let Some(tail) = rest.strip_prefix("[]") {
                steps.push(Step::Element);
                rest = tail;
            }
            if rest.is_empty() {
                break;
            }
            if !rest.starts_with("['") {
                rest = rest.strip_prefix('.').ok_or_else(|| {
                    "only `[]` for all elements of an array and `['name']` are built".to_owned()
                })?;
            }
        }
        if steps.last() == Some(&Step::Deep)
            || steps.windows(2).any(|w| w == [Step::Deep, Step::Deep])
        {
            return Err("after `**` comes the name of a field".to_owned());
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Whether it spells out the place that it leads to.
    pub(crate) fn is_literal(&self) -> bool {
        !self.steps.is_empty() && !self.steps.iter().any(Step::is_star)
    }

    /// Whether it is the default of its section: `*` of a collection, `$` of JSON.
    pub(crate) fn is_default(&self) -> bool {
        self.steps.is_empty() || (self.text == "*" && self.steps == [Step::AnyKey])
    }

    /// How specific it is: ending in a name before ending in a wildcard, then more names, then
    /// without `..` and `**`, then fewer wildcards.
    pub(crate) fn rank(&self) -> Rank {
        rank(&self.steps)
    }

    /// Whether a rule of JSON wrote it.
    fn is_json(&self) -> bool {
        self.text.starts_with('$')
            && Self::json(&self.text).is_ok_and(|own| self.steps.starts_with(&own.steps))
    }

    /// The first steps of it, as a rule would write them.
    pub(crate) fn show(&self, steps: &[Step]) -> String {
        let json = self.is_json();
        let mut text = if json { "$".to_owned() } else { String::new() };
        for (index, step) in steps.iter().enumerate() {
            let after_deep = index > 0 && steps.get(index - 1) == Some(&Step::Deep);
            let dot = if json && after_deep || !json && text.is_empty() { "" } else { "." };
            match step {
                Step::Key(name) => push_name(name, dot, &mut text),
                Step::AnyKey => text.extend([dot, "*"]),
                Step::Element => text.push_str(if json { "[*]" } else { "[]" }),
                Step::Deep => text.extend(if json { [".", "."] } else { [dot, "**"] }),
            }
        }
        text
    }
}

/// See [`PathPattern::rank`].
pub(crate) fn rank(steps: &[Step]) -> Rank {
    let names = steps.iter().filter(|step| matches!(step, Step::Key(_))).count();
    let deep = steps.contains(&Step::Deep);
    let wild = steps.iter().filter(|step| **step == Step::AnyKey).count();
    let last = matches!(steps.last(), Some(Step::Key(_) | Step::Element));
    (last, names, !deep, std::cmp::Reverse(wild))
}

/// Writes a name behind a path, in brackets where it is none that stands by itself.
pub(crate) fn push_name(name: &str, dot: &str, path: &mut String) {
    if name.is_empty() || name.contains(['.', '[', ']', '*', '\'']) {
        path.extend(["['", name, "']"]);
    } else {
        path.extend([dot, name]);
    }
}

/// Reads `['name']`, if that is how the text begins.
fn quoted(text: &str) -> Option<Result<(Step, &str), String>> {
    let tail = text.strip_prefix("['")?;
    Some(match tail.split_once("']") {
        Some((name, tail)) => Ok((Step::Key(name.to_owned()), tail)),
        None => Err("`['` without `']`".to_owned()),
    })
}

fn field(name: &str) -> Result<Step, String> {
    match name {
        "" => Err("a field has no name".to_owned()),
        "*" => Ok(Step::AnyKey),
        name if name.contains('*') => Err("patterns of field names are not built yet".to_owned()),
        name => Ok(Step::Key(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_refused() {
        for text in ["a", "$a", "$.", "$..", "$.a[0]", "$['a", "$.a*"] {
            assert!(PathPattern::json(text).is_err(), "{text}");
        }
        for text in
            ["", "a.", "a..b", "a[0]", "**", "a.**", "**.**.a", "a*", "[]", "**[].a", "a]", "['a"]
        {
            assert!(PathPattern::mongodb(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_any_kind_can_be_said() {
        let key = |name: &str| Step::Key(name.to_owned());
        for (text, steps) in [
            ("['a.b']", vec![key("a.b")]),
            ("x['a.b'].c", vec![key("x"), key("a.b"), key("c")]),
            ("x.['a*'][].c", vec![key("x"), key("a*"), Step::Element, key("c")]),
            ("['']", vec![key("")]),
            ("**.['$x']", vec![Step::Deep, key("$x")]),
            ("$ref.$id", vec![key("$ref"), key("$id")]),
        ] {
            let path = PathPattern::mongodb(text).unwrap();
            assert_eq!(path.steps, steps, "{text}");
            let again = PathPattern::mongodb(&path.show(&path.steps)).unwrap();
            assert_eq!(again.steps, steps, "{text}");
        }
        for text in ["$", "$.a.b", "$.a[*].b", "$.*.b", "$..b", "$['a.b']", "$..['a.b']", "$['']"] {
            let path = PathPattern::json(text).unwrap();
            assert_eq!(path.show(&path.steps), text);
        }
    }
}
