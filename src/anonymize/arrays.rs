//! The text of arrays, whose elements are replaced one by one.

use super::action::{Action, Outcome};
use super::forms::Form;
use super::problem::Problem;
use super::transformers::Mismatch;

#[cold]
fn broken() -> Problem {
    Problem::Broken("it is not an array literal")
}

/// How deep array literals may nest; Postgres allows 6 dimensions.
const MAX_DIMENSIONS: usize = 6;

/// Applies an action to every element of an array literal, at any dimension.
#[derive(Clone)]
pub(crate) struct ArrayRewriter {
    element: Vec<u8>,
    made: Vec<u8>,
}

impl ArrayRewriter {
    /// With empty buffers.
    pub(crate) fn new() -> Self {
        Self { element: Vec::new(), made: Vec::new() }
    }

    /// Writes the literal `input` with its elements replaced.
    pub(crate) fn rewrite(
        &mut self,
        input: &[u8],
        action: &mut Action,
        kind: Kind,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        // Bounds that do not start at 1 come first: `[0:2]={…}`.
        let mut at = memchr::memchr(b'{', input).ok_or_else(broken)?;
        let head = &input[..at];
        let bounds = head.iter().all(|b| b.is_ascii_digit() || b"[]:=-+".contains(b));
        if !bounds || (at > 0 && !head.ends_with(b"=")) {
            return Err(broken());
        }
        out.extend_from_slice(head);
        let mut depth = 0;
        loop {
            match *input.get(at).ok_or_else(broken)? {
                b'{' => {
                    depth += 1;
                    if depth > MAX_DIMENSIONS {
                        return Err(Problem::Broken("an array has too many dimensions"));
                    }
                    out.push(b'{');
                    at += 1;
                }
                b'}' => {
                    depth -= 1;
                    out.push(b'}');
                    at += 1;
                    if depth == 0 {
                        break;
                    }
                }
                b',' => {
                    out.push(b',');
                    at += 1;
                }
                first => {
                    let quoted = first == b'"';
                    at = self.read(input, at, quoted).ok_or_else(broken)?;
                    if !quoted && self.element.eq_ignore_ascii_case(b"null") {
                        out.extend_from_slice(&self.element);
                    } else {
                        self.element(action, kind, out)?;
                    }
                }
            }
        }
        if at == input.len() { Ok(()) } else { Err(broken()) }
    }

    /// Reads the element at `at` and says where it ends.
    fn read(&mut self, input: &[u8], mut at: usize, quoted: bool) -> Option<usize> {
        self.element.clear();
        at += usize::from(quoted);
        loop {
            match *input.get(at)? {
                b'\\' => {
                    self.element.push(*input.get(at + 1)?);
                    at += 2;
                }
                b'"' if quoted => return Some(at + 1),
                b',' | b'}' if !quoted => return Some(at),
                b'"' | b'{' if !quoted => return None,
                plain => {
                    self.element.push(plain);
                    at += 1;
                }
            }
        }
    }

    fn element(
        &mut self,
        action: &mut Action,
        kind: Kind,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        self.made.clear();
        let outcome = apply(action, &self.element, kind, &mut self.made)?;
        match outcome {
            Made::Keep => quote_element(&self.element, out),
            Made::Null => out.extend_from_slice(b"NULL"),
            Made::Wrote => quote_element(&self.made, out),
        }
        Ok(())
    }
}

/// What the values of a column, or the elements of its arrays, are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// For the transformers.
    pub(crate) form: Form,
    /// `char(n)`: values are filled with spaces up to so many characters.
    pub(crate) padded: Option<usize>,
}

/// What became of a Postgres value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It stays.
    Keep,
    /// It becomes null.
    Null,
    /// A new value was written.
    Wrote,
}

/// Applies an action that is not for an array to a value that is not null. The spaces that fill
/// a `char(n)` are no part of the value: they are taken off before and written again after.
pub(crate) fn apply(
    action: &mut Action,
    value: &[u8],
    kind: Kind,
    out: &mut Vec<u8>,
) -> Result<Made, Problem> {
    let Some(chars) = kind.padded else { return apply_bare(action, value, kind.form, out) };
    let start = out.len();
    let made = apply_bare(action, value.trim_ascii_end(), kind.form, out)?;
    if made == Made::Wrote {
        let written = String::from_utf8_lossy(&out[start..]).chars().count();
        out.extend(std::iter::repeat_n(b' ', chars.saturating_sub(written)));
    }
    Ok(made)
}

fn apply_bare(
    action: &mut Action,
    value: &[u8],
    form: Form,
    out: &mut Vec<u8>,
) -> Result<Made, Problem> {
    match action {
        Action::Keep => Ok(Made::Keep),
        Action::Null => Ok(Made::Null),
        _ if value.is_empty() => Ok(Made::Keep),
        Action::Whole(masker) | Action::Leaf(masker) => match masker.apply(value, form, out) {
            Ok(Outcome::Null) => Ok(Made::Null),
            Ok(Outcome::Wrote(_)) => Ok(Made::Wrote),
            Err(Mismatch(reason)) => Err(Problem::Mismatch {
                path: String::new(),
                at: Some(masker.at().clone()),
                reason,
            }),
        },
        Action::Json(rewriter) => Ok(match rewriter.rewrite_or_null(value, out)? {
            Outcome::Null => Made::Null,
            Outcome::Wrote(_) => Made::Wrote,
        }),
        Action::Undecided => Err(Problem::Uncovered { path: String::new() }),
        Action::Drop | Action::Each(_) => Err(Problem::Broken("the rule does not fit the column")),
    }
}

/// Writes an element as `array_out` does: quoted only where it must be.
fn quote_element(element: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| {
        matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\' | b' ' | b'\t' | b'\n' | b'\r' | 11 | 12)
    };
    let plain = !element.is_empty()
        && !element.eq_ignore_ascii_case(b"null")
        && !element.iter().any(special);
    if plain {
        return out.extend_from_slice(element);
    }
    out.push(b'"');
    for &byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: Kind = Kind { form: Form::Text, padded: None };

    #[test]
    fn arrays_keep_their_shape() {
        let mut arrays = ArrayRewriter::new();
        for text in [
            "{}",
            "{a,b}",
            "{{1,2},{3,NULL}}",
            "[0:1]={a,b}",
            r#"{"a b","","null","x\"y\\z",NULL,"{}",e}"#,
        ] {
            let mut out = Vec::new();
            let mut keep = Action::Keep;
            arrays.rewrite(text.as_bytes(), &mut keep, TEXT, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        let null = |text: &str| {
            let mut out = Vec::new();
            let result =
                ArrayRewriter::new().rewrite(text.as_bytes(), &mut Action::Null, TEXT, &mut out);
            result.map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(null(r#"{a,"b,c",NULL}"#).unwrap(), "{NULL,NULL,NULL}");
        for text in ["", "a", "{", "{a", "{\"a}", "{a}}", "{a}b", "{{{{{{{a}}}}}}}", "x{a}", "}"] {
            assert!(null(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn elements_come_back(elements in prop::collection::vec("[a-z\\\\\"{}, N]{0,5}", 1..5)) {
            let mut literal = vec![b'{'];
            for (index, element) in elements.iter().enumerate() {
                if index > 0 { literal.push(b','); }
                quote_element(element.as_bytes(), &mut literal);
            }
            literal.push(b'}');
            let mut out = Vec::new();
            let mut arrays = ArrayRewriter::new();
            arrays.rewrite(&literal, &mut Action::Keep, TEXT, &mut out).unwrap();
            prop_assert_eq!(out, literal);
        }

        #[test]
        fn hostile_arrays_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut arrays = ArrayRewriter::new();
            let result = arrays.rewrite(&bytes, &mut Action::Keep, TEXT, &mut Vec::new());
            prop_assert!(result.is_ok() || result.is_err());
        }
    }
}
