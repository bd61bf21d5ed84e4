//! The names of the databases beside the live one.

use sha2::{Digest, Sha256};

/// The name of pfdata's sessions.
pub const APPLICATION_NAME: &str = "pfdata";

/// The longest name the server keeps, in bytes (`NAMEDATALEN` is 64); it cuts longer ones
/// without an error.
const LONGEST: usize = 63;

/// The live database and what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The environment's database.
    pub live: String,
    /// What is being loaded: `<database>_pfdata_new`.
    pub new: String,
    /// What was live before the last swap: `<database>_pfdata_prev`.
    pub previous: String,
}

impl Names {
    /// The names for a database. A name that would be too long is cut, and eight hex digits of
    /// its SHA-256 keep it apart from others that begin alike.
    pub fn of(database: &str) -> Self {
        Self {
            live: database.to_owned(),
            new: beside(database, "_pfdata_new"),
            previous: beside(database, "_pfdata_prev"),
        }
    }
}

fn beside(database: &str, suffix: &str) -> String {
    if database.len() + suffix.len() <= LONGEST {
        return format!("{database}{suffix}");
    }
    let hash = Sha256::digest(database.as_bytes());
    let hex: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut end = LONGEST - suffix.len() - hex.len() - 1;
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{hex}{suffix}", &database[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_short_and_apart() {
        assert_eq!(Names::of("shop").new, "shop_pfdata_new");
        let (a, b) = ("é".repeat(30) + "aaa", "é".repeat(30) + "aab");
        for name in [Names::of(&a).new, Names::of(&a).previous] {
            assert!(name.len() <= LONGEST, "{name}");
        }
        assert_ne!(Names::of(&a).new, Names::of(&b).new);
        assert!(Names::of(&a).previous.ends_with("_pfdata_prev"));
    }
}
