//! Reading the rule files of an environment.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::link;
use super::parse::File;
use super::problems::Problems;
use super::pseudonym::hex;
use super::review;
use super::rules::RuleSet;
use crate::error::{OrFail, Result};

impl RuleSet {
    /// Reads all `*.toml` files of `folder` but `reviewed.toml`, in the order of their names. An empty folder gives
    /// an empty rule set, which covers nothing.
    pub fn load(folder: &Path) -> Result<Self> {
        let unread = || format!("the rules folder {} cannot be read", folder.display());
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(folder).or_usage(unread)? {
            let path = entry.or_usage(unread)?.path();
            let is_rules = path.extension().is_some_and(|extension| extension == "toml")
                && path.file_name().is_none_or(|name| name != review::FILE);
            if is_rules && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)
                .or_usage(|| format!("the rule file {} cannot be read", path.display()))?;
            files.push((name, text));
        }
        Self::parse(&files)
    }

    /// Reads files given as (name, text), in the order in which they are given.
    pub fn parse(files: &[(String, String)]) -> Result<Self> {
        let mut hash = Sha256::new();
        let mut rules = Self {
            postgres: Vec::new(),
            mongodb: Vec::new(),
            redis: Vec::new(),
            keep_functions: None,
            links: link::Links::new(),
            digest: String::new(),
            files: files.len(),
        };
        let mut problems = Problems::default();
        for (name, text) in files {
            // Lengths keep apart what the boundary between two files would blur.
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
            let file = File::parse(name, text, &mut problems);
            rules.keep_functions = rules.keep_functions.or(file.keep_functions);
            rules.postgres.extend(file.postgres);
            rules.mongodb.extend(file.mongodb);
            rules.redis.extend(file.redis);
        }
        let mut digest = Vec::new();
        hex(&hash.finalize(), &mut digest);
        rules.digest = String::from_utf8_lossy(&digest).into_owned();
        rules.links = link::unite(&mut rules, &mut problems);
        rules.visit(&mut |spec| {
            problems.note(spec.check());
        });
        problems.finish()?;
        Ok(rules)
    }
}
