//! Changes of an environment's class: `<env>/class-<n>.json`, each created once.
//!
//! A manifest records the class that its environment had; one of these files is what makes another
//! class hold from a moment on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::storage::{Created, Name};
use super::{Repository, Unreadable, layout, names};
use crate::error::{Error, OrFail, Result};
use crate::policy::Class;
use crate::terms::Identity;

/// A recorded change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRecord {
    /// The environment.
    pub environment: String,
    /// Counts up over all repositories; also in the file's name.
    pub number: u32,
    /// What it was recorded to be until then.
    pub from: Class,
    /// What it is since.
    pub to: Class,
    /// Why, in somebody's words.
    pub reason: String,
    /// When it was recorded, not when the file of the environment was edited.
    pub at: Timestamp,
    /// Who: the user of the operating system, and the host.
    pub by: String,
    /// `pfdata X.Y.Z`.
    pub tool: String,
    /// The stores that the environment had then.
    pub identities: Vec<Identity>,
}

impl Repository {
    /// Writes a record down, or says `false` when its number is taken.
    pub fn record_class(&self, record: &ClassRecord) -> Result<bool> {
        let text = serde_json::to_vec_pretty(record).or_fail(|| "cannot write a record")?;
        let environment = layout::environment(&record.environment)?;
        let name = environment.child(&layout::class_record(record.number))?;
        Ok(self.storage().create(&name, &text)? == Created::New)
    }

    /// Every record of every environment, and what looks like one and cannot be read.
    pub fn class_records(&self) -> Result<(Vec<ClassRecord>, Vec<Unreadable>)> {
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for environment in self.environment_folders()? {
            let level = self.storage().level(&environment)?;
            for step in level.folders.iter().filter(|step| layout::class_number(step).is_some()) {
                let path = environment.child(step)?.to_string();
                let error = Error::failed(format!("`{path}` is a folder, and no record"));
                unreadable.push(Unreadable { path, error, anonymized: None });
            }
            for step in level.objects {
                let Some(number) = layout::class_number(&step) else { continue };
                let name = environment.child(&step)?;
                match self.read_record(&environment, &name, number) {
                    Ok(record) => found.push(record),
                    Err(error) => {
                        let path = name.to_string();
                        unreadable.push(Unreadable { path, error, anonymized: None });
                    }
                }
            }
        }
        Ok((found, unreadable))
    }

    fn read_record(&self, environment: &Name, name: &Name, number: u32) -> Result<ClassRecord> {
        let place = self.storage().describe(name);
        let damaged = || format!("`{place}` is damaged");
        let bytes = self.storage().read(name)?.unwrap_or_default();
        let record: ClassRecord = serde_json::from_slice(&bytes).or_fail(damaged)?;
        if names::component(&record.environment) != environment.as_str() || record.number != number
        {
            return Err(Error::failed(format!(
                "`{place}` is the record of another environment or number"
            )));
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(environment: &str, number: u32) -> ClassRecord {
        ClassRecord {
            environment: environment.to_owned(),
            number,
            from: Class::Live,
            to: Class::Synthetic,
            reason: "sold".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            by: "root on db1".to_owned(),
            tool: "pfdata".to_owned(),
            identities: Vec::new(),
        }
    }

    #[test]
    fn records_are_created_once_and_are_no_snapshots() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::open(folder.path(), None, true).unwrap();
        assert!(repository.record_class(&record("a b", 2)).unwrap());
        assert!(!repository.record_class(&record("a b", 2)).unwrap());
        let below = folder.path().join("a%20b");
        std::fs::copy(below.join("class-2.json"), below.join("class-3.json")).unwrap();
        std::fs::write(below.join("class-4.json"), "{").unwrap();
        std::fs::write(below.join("class-04.json"), "{").unwrap();
        std::fs::write(below.join("class-x.json"), "{").unwrap();
        let (found, unreadable) = repository.class_records().unwrap();
        assert_eq!(found, [record("a b", 2)]);
        let paths: Vec<_> = unreadable.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(paths, ["a%20b/class-3.json", "a%20b/class-4.json"]);
        let (stored, broken) = repository.snapshots().unwrap();
        assert!(stored.is_empty() && broken.is_empty());
    }
}
