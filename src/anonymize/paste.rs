//! Rules as text to be pasted into a rule file.

use crate::terms::StoreKind;

/// A section that would cover the place, as it stands in a rule file: under a rule that fits, or
/// under a placeholder where none is known.
pub(crate) fn paste(store: StoreKind, place: &str, item: &str, proposal: Option<&str>) -> String {
    let name = place;
    let place = toml_text(place);
    match store {
        StoreKind::Redis => {
            let pattern = toml_text(&key_pattern(name));
            format!("[redis.{pattern}]\naction = \"drop\"")
        }
        StoreKind::Postgres if item == "*" => format!("[postgres.{place}]\n\"*\" = \"drop\""),
        store => {
            let item = match store {
                StoreKind::Mongodb => spelled_path(item),
                _ => item.to_owned(),
            };
            let item = if item.is_empty() { "*" } else { &item };
            let rule = proposal.unwrap_or("\"?\"");
            format!("[{store}.{place}]\n{} = {rule}", toml_text(item))
        }
    }
}

/// A text as TOML quotes it.
pub(crate) fn toml_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A path with a star for every name that a message does not show.
pub(crate) fn spelled_path(path: &str) -> String {
    let step = |step: &str| {
        let name = step.trim_end_matches("[]");
        let hidden = name.contains(['<', '>', '#', '*']);
        let name = if hidden { "*" } else { name };
        format!("{name}{}", "[]".repeat((step.len() - step.trim_end_matches("[]").len()) / 2))
    };
    path.split('.').map(step).collect::<Vec<_>>().join(".")
}

/// The pattern of keys of a shape: a star for what the shape hides.
pub(crate) fn key_pattern(shape: &str) -> String {
    let hidden = ["<…>", "<email>", "<binary>", "…", "#"];
    let mut pattern = String::new();
    let mut rest = shape;
    while let Some(letter) = rest.chars().next() {
        if let Some(tail) = hidden.iter().find_map(|word| rest.strip_prefix(word)) {
            if !pattern.ends_with('*') || pattern.ends_with("\\*") {
                pattern.push('*');
            }
            rest = tail;
            continue;
        }
        if matches!(letter, '*' | '{' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_toml_whatever_the_names() {
        for name in
            ["a", "a.b", "q\"t", "b\\s", "nl\nx", "ü€", "\u{7f}\u{85}", "*", ":json", " ", "#", "]"]
        {
            for store in [StoreKind::Postgres, StoreKind::Mongodb, StoreKind::Redis] {
                let place = format!("s.{name}");
                let item = match store {
                    StoreKind::Postgres => name.to_owned(),
                    StoreKind::Mongodb => "a.<…>.b[]".to_owned(),
                    StoreKind::Redis => "string".to_owned(),
                };
                if store == StoreKind::Mongodb && name == "*" {
                    continue;
                }
                let text = format!("version = 1\n{}\n", paste(store, &place, &item, None));
                let rules = crate::anonymize::RuleSet::parse(&[("p".into(), text.clone())]);
                assert!(rules.is_ok(), "{text}");
            }
        }
    }
}
