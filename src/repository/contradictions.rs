//! What a manifest says against itself: an edit, or a mistake of the job that wrote it.
//!
//! Nobody declares a clearance: it follows from the class, the rules and what the stores held. So
//! a word that was changed in a manifest no longer fits the others. What a whole set of changed
//! words says, only a signature could tell.

use std::collections::BTreeSet;

use super::manifest::{Anonymized, Manifest, StoreManifest};
use super::{PREVIOUS_SET, SECOND_CHARS, Stored, Unreadable, id, names};
use crate::config::sets;
use crate::error::Error;
use crate::policy::{Clearance, Ruling, clearance};

/// A SHA-256 in hex.
fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `v1-0123456789abcdef` and what later versions may make of it.
fn is_fingerprint(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    (8..=128).contains(&text.len())
        && text.starts_with('v')
        && text.contains('-')
        && text.bytes().all(plain)
}

impl Anonymized {
    /// What is wrong with it.
    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !is_sha256(&self.rules_digest) {
            found.push("its rules' digest is none".to_owned());
        }
        if !is_fingerprint(&self.key_fingerprint) {
            found.push("its key's fingerprint is none".to_owned());
        }
        let Some(places) = &self.places else { return found };
        let count = |word: &str| places.iter().filter(|place| place.verdict == word).count() as u64;
        let (masked, kept) = (count("masked"), count("kept"));
        if (masked, kept) != (self.masked, self.kept) {
            found.push(format!(
                "it says that {} places are masked and {} kept, and lists {masked} and {kept}",
                self.masked, self.kept
            ));
        }
        let other = places.len() as u64 - masked - kept;
        if other > 0 {
            found.push(format!("{other} of its places are neither masked nor kept"));
        }
        found
    }
}

impl StoreManifest {
    fn contradictions(&self, anonymized: Option<&Anonymized>) -> Vec<String> {
        let store = self.store;
        let mut found = Vec::new();
        let own = self.identity.kind();
        if own != store {
            found.push(format!("the identity of its {store} is that of a {own}"));
        }
        if self.held == Some(Clearance::Anonymized) {
            found.push(format!("its {store} held what is not worth saying"));
        }
        if self.masked_with.is_some() && (anonymized.is_some() || self.held.is_some()) {
            found.push(format!("its {store} was masked before, and held raw data or was masked"));
        }
        let places = anonymized.and_then(|rules| rules.places.as_ref());
        let records = self.collections.iter().any(|collection| collection.records > 0);
        if records && places.is_some_and(|all| all.iter().all(|place| place.store != store)) {
            found.push(format!("it lists no place of its {store}, which is not empty"));
        }
        let digests = self.parts.iter().flat_map(|part| [&part.sha256_plain, &part.sha256_stored]);
        if digests.into_iter().any(|digest| !is_sha256(digest)) {
            found.push(format!("a part of its {store} has a digest that is none"));
        }
        found
    }
}

impl Manifest {
    /// What is known of the rules that it was taken under.
    pub fn ruling(&self) -> Ruling {
        match &self.anonymized {
            None => Ruling::Without,
            Some(rules) if rules.contradictions().is_empty() => Ruling::Whole,
            Some(_) => Ruling::Doubtful,
        }
    }

    /// The clearance that follows from everything else that it says.
    pub fn derived_clearance(&self) -> Clearance {
        let held_raw = self.stores.iter().any(|store| store.held == Some(Clearance::Raw));
        clearance(self.class, self.ruling(), held_raw)
    }

    /// Whether it was masked before manifests listed their places: what it holds cannot be told.
    pub fn lacks_places(&self) -> bool {
        self.anonymized.as_ref().is_some_and(|rules| rules.places.is_none())
    }

    /// What it says against itself, a line each.
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let derived = self.derived_clearance();
        if self.clearance != derived {
            found.push(format!(
                "it says that it is `{}`, and what it was taken from and how makes it `{}`",
                self.clearance.word(),
                derived.word()
            ));
        }
        let masks = match self.set.as_str() {
            sets::ANONYMIZED => Some(true),
            sets::RAW | PREVIOUS_SET => Some(false),
            _ => None,
        };
        if masks.is_some_and(|masks| masks != self.anonymized.is_some()) {
            let what = if self.anonymized.is_some() { "masked" } else { "not masked" };
            found.push(format!("it is {what}, and of the set `{}`", self.set));
        }
        if let Some(rules) = &self.anonymized {
            found.extend(rules.contradictions());
        }
        let mut seen = BTreeSet::new();
        for store in &self.stores {
            if !seen.insert(store.store) {
                found.push(format!("it has {} twice", store.store));
            }
            found.extend(store.contradictions(self.anonymized.as_ref()));
        }
        if !id::is_of(&self.id, self.created) {
            found.push("its id is not of the time at which it was created".to_owned());
        }
        if self.finished < self.created {
            found.push("it was finished before it was created".to_owned());
        }
        found
    }
}

impl Stored {
    /// Whether the folder is that of a snapshot of the second of `id` or of a later one.
    pub(super) fn lies_at_or_after(&self, id: &str) -> bool {
        let own = self.snapshot.name().steps().next_back().unwrap_or_default();
        own.get(..SECOND_CHARS) >= id.get(..SECOND_CHARS)
    }

    /// As something that cannot be read, where its manifest contradicts itself.
    pub(super) fn doubted(&self) -> Option<Unreadable> {
        let line = self.contradictions().into_iter().next()?;
        let path = self.snapshot.name().to_string();
        let error = Error::refused(format!("its manifest contradicts itself: {line}"));
        Some(Unreadable { path, error, anonymized: None })
    }

    /// What its manifest says against itself and against the folder that it lies in.
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = self.manifest.contradictions();
        let mut steps = self.snapshot.name().steps().rev();
        let mut is = |what: &str, says: &str, lies: String| {
            if steps.next() != Some(lies.as_str()) {
                found.push(format!("its {what} is `{says}`, and it lies elsewhere"));
            }
        };
        let Manifest { id, set, environment, .. } = &self.manifest;
        is("id", id, id.clone());
        is("set", set, names::component(set));
        is("environment", environment, names::component(environment));
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::repository::layout;
    use crate::repository::snapshot::Snapshot;
    use crate::repository::storage::Storage;
    use crate::repository::storage::memory::Memory;

    fn manifest(masked: bool) -> Value {
        let digest = "0".repeat(64);
        let place = |item: &str, verdict: &str| {
            json!({ "store": "redis", "place": "a:*", "item": item,
            "verdict": verdict, "rule": "redact" })
        };
        let rules = json!({ "rules_digest": digest, "key_fingerprint": "v1-0123456789abcdef",
            "masked": 1, "kept": 1, "places": [place("string", "masked"), place("set", "kept")] });
        json!({
            "format": 1, "id": "20261121T030000Z-7f3a9c", "environment": "production",
            "set": if masked { "anonymized" } else { "raw" }, "class": "live",
            "clearance": if masked { "anonymized" } else { "raw" }, "whole": true,
            "created": "2026-11-21T03:00:00.5Z", "finished": "2026-11-21T03:00:01Z",
            "tool": "pfdata 0.1.0", "job": "j", "compression": "none", "encryption": null,
            "anonymized": if masked { rules } else { Value::Null },
            "stores": [{
                "store": "redis", "server_version": "7.0.0",
                "identity": { "store": "redis", "server": "h:1", "run_id": "r", "db": 0 },
                "consistency": { "level": "point-in-time", "point": "1" },
                "collections": [{ "namespace": "", "name": "0", "records": 1, "digest": "0".repeat(32) }],
                "parts": [{ "number": 1, "kind": "data", "path": "redis/x.rdb", "slice": "all",
                    "records": 1, "bytes_plain": 1, "bytes_stored": 1,
                    "sha256_plain": digest, "sha256_stored": digest }]
            }]
        })
    }

    fn stored(value: Value) -> Stored {
        let manifest: Manifest = serde_json::from_value(value.clone()).unwrap();
        let set = if value["anonymized"].is_null() { "raw" } else { "anonymized" };
        let name = layout::snapshot("production", set, "20261121T030000Z-7f3a9c").unwrap();
        Stored { manifest, snapshot: Snapshot::at(&Storage::Memory(Memory::default()), name) }
    }

    #[test]
    fn what_was_written_is_consistent() {
        for masked in [false, true] {
            assert_eq!(stored(manifest(masked)).contradictions(), [""; 0]);
        }
        let mut older = manifest(true);
        older["anonymized"].as_object_mut().unwrap().remove("places");
        let older = stored(older);
        assert!(older.contradictions().is_empty() && older.manifest.lacks_places());
        let mut lower = manifest(false);
        lower["class"] = json!("synthetic");
        lower["stores"][0]["held"] = json!("raw");
        assert!(stored(lower).contradictions().is_empty());
    }

    #[test]
    fn one_changed_word_shows() {
        let edits: &[(bool, &str, Value)] = &[
            (false, "/clearance", json!("anonymized")),
            (false, "/class", json!("synthetic")),
            (false, "/class", json!("production-like")),
            (false, "/set", json!("anonymized")),
            (false, "/set", json!("other")),
            (false, "/environment", json!("development")),
            (false, "/id", json!("20261121T030000Z-7f3a9d")),
            (false, "/created", json!("2026-11-20T03:00:00Z")),
            (false, "/finished", json!("2026-11-20T03:00:00Z")),
            (true, "/clearance", json!("raw")),
            (true, "/set", json!("raw")),
            (true, "/anonymized/masked", json!(2)),
            (true, "/anonymized/kept", json!(0)),
            (true, "/anonymized/places", json!([])),
            (true, "/anonymized/places/0/verdict", json!("uncovered")),
            (true, "/anonymized/places/0/verdict", json!("kept")),
            (true, "/anonymized/places/1/verdict", json!("whatever")),
            (true, "/anonymized/rules_digest", json!("")),
            (true, "/anonymized/rules_digest", json!("Z".repeat(64))),
            (true, "/anonymized/key_fingerprint", json!("")),
            (true, "/anonymized/key_fingerprint", json!("none at all")),
            (true, "/anonymized", Value::Null),
            (true, "/stores/0/parts/0/sha256_plain", json!("")),
            (
                true,
                "/stores/0/identity",
                json!({ "store": "mongodb", "deployment": "d", "database": "x" }),
            ),
        ];
        for (masked, pointer, value) in edits {
            let mut edited = manifest(*masked);
            *edited.pointer_mut(pointer).unwrap() = value.clone();
            let mut lies = stored(manifest(*masked));
            lies.manifest = stored(edited).manifest;
            assert!(!lies.contradictions().is_empty(), "{pointer} = {value}");
        }
        let mut held = manifest(false);
        held["stores"][0]["held"] = json!("raw");
        held["stores"][0]["masked_with"] = json!("v1-0123456789abcdef");
        assert!(!stored(held).contradictions().is_empty());
        let mut twice = manifest(true);
        let store = twice["stores"][0].clone();
        twice["stores"].as_array_mut().unwrap().push(store);
        assert!(!stored(twice).contradictions().is_empty());
    }

    #[test]
    fn a_forged_rule_set_in_the_raw_set_shows() {
        let mut forged = manifest(false);
        forged["anonymized"] = manifest(true)["anonymized"].clone();
        forged["clearance"] = json!("anonymized");
        let mut lies = stored(manifest(false));
        lies.manifest = stored(forged).manifest;
        assert_eq!(lies.contradictions(), ["it is masked, and of the set `raw`"]);
    }
}
