//! The doors in front of a job: a plan becomes a [`Checked`] one, which may be shown, that an
//! [`Asking`] one, and that a [`Confirmed`] one, which alone can be executed. No caller can leave a
//! guard out: nothing else makes them. Called by the subcommands, and by whatever else will start a
//! job; touches the configuration alone.

use super::{Plan, apart};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::terms::StoreKind;

/// A plan of a job for one environment, and what its guards need to know.
pub trait Guarded {
    /// The environment.
    fn environment(&self) -> &Environment;
    /// What a dry run prints.
    fn view(&mut self) -> &mut Plan;
    /// The stores that must be the environment's own.
    fn stores(&self) -> Vec<StoreKind>;
    /// What the environment's name is asked for, such as "a refresh"; nothing where the job takes
    /// nothing away.
    fn asks(&self) -> Option<&'static str> {
        None
    }
    /// Whether what changes can be brought back, or need not: what a protected environment wants.
    fn has_a_way_back(&self) -> bool {
        true
    }
}

/// A plan whose stores belong to its environment, as far as it can be judged.
pub struct Checked<P>(P);

/// A checked plan that may be carried out once it is confirmed.
pub struct Asking<P>(P);

/// A plan that may be carried out.
pub struct Confirmed<P>(P);

impl<P: Guarded> Checked<P> {
    /// Compares the plan's stores with those of every other environment. What could not be judged
    /// is added to the plan's remarks.
    ///
    /// # Errors
    ///
    /// Exit 5 where two environments are configured to have one store.
    pub async fn new(mut plan: P) -> Result<Self> {
        let environment = plan.environment();
        let unknown = apart::configured(&environment.config(), environment, &plan.stores()).await?;
        let remarks = &mut plan.view().remarks;
        for line in unknown {
            if !remarks.contains(&line) {
                remarks.push(line);
            }
        }
        Ok(Self(plan))
    }

    /// The plan, to be shown.
    pub fn view(&mut self) -> &Plan {
        self.0.view()
    }

    /// Refuses what a protected environment does not let happen.
    ///
    /// # Errors
    ///
    /// Exit 5 where it has no way back.
    pub fn ask(self) -> Result<Asking<P>> {
        protection(self.0.environment(), self.0.has_a_way_back())?;
        Ok(Asking(self.0))
    }
}

impl<P: Guarded> Asking<P> {
    /// The environment whose name is wanted, and for what; nothing where none is.
    pub fn wants(&self) -> Option<(String, &'static str)> {
        Some((self.0.environment().name.clone(), self.0.asks()?))
    }

    /// Takes the name that was given.
    ///
    /// # Errors
    ///
    /// Exit 5 where it is wanted and is not that of the environment.
    pub fn confirm(self, given: Option<&str>) -> Result<Confirmed<P>> {
        match self.wants() {
            Some((name, what)) if given != Some(&name) => {
                Err(Error::refused(format!("{what} of `{name}` was not confirmed"))
                    .hint(format!("add --confirm {name}")))
            }
            _ => Ok(Confirmed(self.0)),
        }
    }
}

impl<P> Confirmed<P> {
    /// A plan that is a step of a confirmed job of the same environment.
    pub(super) fn within(plan: P) -> Self {
        Self(plan)
    }

    /// The plan, to be carried out.
    pub(super) fn into_plan(self) -> P {
        self.0
    }
}

/// Protected environments change only with a way back, or when there is nothing to go back to.
fn protection(environment: &Environment, guarded: bool) -> Result<()> {
    if environment.protected && !guarded {
        return Err(Error::refused(format!("`{}` is protected", environment.name)).hint(format!(
            "add --rollback-ready, which takes a snapshot of it first, or --discard-target {} if it is dead or empty",
            environment.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::Config;
    use crate::error::Kind;

    struct Change {
        environment: Environment,
        view: Plan,
        guarded: bool,
    }

    impl Guarded for Change {
        fn environment(&self) -> &Environment {
            &self.environment
        }

        fn view(&mut self) -> &mut Plan {
            &mut self.view
        }

        fn stores(&self) -> Vec<StoreKind> {
            self.environment.stores()
        }

        fn asks(&self) -> Option<&'static str> {
            Some("a change")
        }

        fn has_a_way_back(&self) -> bool {
            self.guarded
        }
    }

    /// A change of `a`, whose neighbour `b` has its Redis at this index.
    fn change(guarded: bool, neighbour: u32) -> Change {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::create_dir(&config).unwrap();
        for (name, index) in [("a", 1), ("b", neighbour)] {
            let text = format!(
                r#"{{"database": {{"redis": {{"host": "127.0.0.1", "port": 7, "db": {index}}}}},
                    "data": {{"class": "synthetic", "protected": true}}}}"#
            );
            std::fs::write(config.join(format!("{name}.json")), text).unwrap();
        }
        let config = Config::load_with(&config, Some("a"), HashMap::new()).unwrap();
        let environment = config.environment("a").unwrap();
        Change { environment, view: Plan::new("change", "change a".to_owned()), guarded }
    }

    #[tokio::test]
    async fn no_guard_can_be_left_out() {
        let kind = |error: Error| error.kind();
        let refused = Checked::new(change(true, 1)).await.map(drop).map_err(kind);
        assert_eq!(refused, Err(Kind::Refused), "b has the same store");
        let checked = Checked::new(change(false, 2)).await.unwrap();
        assert_eq!(checked.ask().map(drop).map_err(kind), Err(Kind::Refused), "it is protected");
        for given in [None, Some("b"), Some("")] {
            let asking = Checked::new(change(true, 2)).await.unwrap().ask().unwrap();
            assert_eq!(asking.confirm(given).map(drop).map_err(kind), Err(Kind::Refused));
        }
        let asking = Checked::new(change(true, 2)).await.unwrap().ask().unwrap();
        assert_eq!(asking.wants(), Some(("a".to_owned(), "a change")));
        assert_eq!(asking.confirm(Some("a")).unwrap().into_plan().environment.name, "a");
    }
}
