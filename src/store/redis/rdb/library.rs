//! Function libraries as an RDB holds them.

/// The name in a library's first line: `#!lua name=mylib`.
pub(crate) fn library_name(code: &[u8]) -> Option<String> {
    let line = code.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("name=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::library_name;

    #[test]
    fn names_are_in_the_first_line() {
        assert_eq!(library_name(b"#!lua name=mylib\nreturn"), Some("mylib".to_owned()));
        assert_eq!(library_name(b"#!lua\nname=x"), None);
        assert_eq!(library_name(b""), None);
    }
}
