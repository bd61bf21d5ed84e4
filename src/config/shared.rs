//! What the configuration and every environment of it hold together.

use std::fmt;
use std::sync::Arc;

use super::layers::{Folders, Loaded};

/// The configuration folder, read and checked.
#[derive(Clone)]
pub struct Config {
    pub(super) shared: Arc<Shared>,
}

/// What an [`Environment`] keeps of its configuration.
pub(crate) struct Shared {
    pub(super) folders: Folders,
    pub(super) environments: Vec<Loaded>,
}

impl fmt::Debug for Config {
    /// Names only: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("folder", &self.shared.folders.config)
            .field(
                "environments",
                &self.shared.environments.iter().map(|loaded| &loaded.name).collect::<Vec<_>>(),
            )
            .finish()
    }
}
