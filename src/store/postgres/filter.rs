//! `--only` and `--exclude`: which tables a snapshot is limited to.

use super::catalog::Catalog;
use crate::error::{Error, Result};
use crate::store::shape::Table;

/// Patterns over `schema.table`; a pattern without a dot is a table's name in any schema.
pub struct Filter {
    only: Vec<String>,
    exclude: Vec<String>,
}

impl Filter {
    /// Patterns as given; `*` is any run of characters.
    pub fn new(only: &[String], exclude: &[String]) -> Self {
        Self { only: only.to_vec(), exclude: exclude.to_vec() }
    }

    /// Takes out of the catalog the tables that are not wanted.
    ///
    /// # Errors
    ///
    /// Exit 2 for a pattern that matches no table: it is a typing error, and to ignore it would
    /// store too much or too little.
    pub fn apply(&self, catalog: &mut Catalog) -> Result<()> {
        for pattern in self.only.iter().chain(&self.exclude) {
            if !catalog.tables.iter().any(|table| matches(pattern, table)) {
                return Err(Error::usage(format!("no table matches `{pattern}`")));
            }
        }
        let wanted: Vec<bool> = catalog.tables.iter().map(|table| self.wants(table)).collect();
        let mut keep = wanted.iter();
        catalog.tables.retain(|_| keep.next().copied().unwrap_or_default());
        let mut keep = wanted.iter();
        catalog.storage.retain(|_| keep.next().copied().unwrap_or_default());
        Ok(())
    }

    fn wants(&self, table: &Table) -> bool {
        let chosen = self.only.is_empty() || self.only.iter().any(|only| matches(only, table));
        chosen && !self.exclude.iter().any(|exclude| matches(exclude, table))
    }
}

fn matches(pattern: &str, table: &Table) -> bool {
    glob(pattern, &table.full_name()) || glob(pattern, &table.name)
}

/// `*` is any run of characters; everything else is itself. Linear apart from going back to the
/// last `*`.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("public.*", "public.users", true),
            ("*.users", "public.users", true),
            ("p*c.u*s", "public.users", true),
            ("p*x", "public.users", false),
            ("**s", "public.users", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
