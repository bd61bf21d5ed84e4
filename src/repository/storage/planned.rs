//! Faults that a test plans for a whole process, so that the program itself can be stopped at any
//! one operation of its storage. Only builds with debug assertions know of it: a release has no way
//! to be told.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use super::faulty::{Fault, Faulty, State};
use super::local::Local;

/// `FAULT:NUMBER:FILE`: what goes wrong (`fail`, `tear`, `lose` or `abort`) at which operation,
/// counted from one over all repositories, and the file that is made when it does; with `count`
/// nothing, and the file holds how many operations there were.
const VARIABLE: &str = "PFDATA_TEST_FAULT";

type Shared = Arc<Mutex<State>>;

/// The storage with the planned fault, or as it is where none is planned.
pub(super) fn around(local: Local) -> Result<Faulty, Local> {
    static PLANNED: OnceLock<Option<Shared>> = OnceLock::new();
    match PLANNED.get_or_init(planned) {
        Some(state) => Ok(Faulty::sharing(local, state)),
        None => Err(local),
    }
}

fn planned() -> Option<Shared> {
    let plan = std::env::var(VARIABLE).ok()?;
    let mut words = plan.splitn(3, ':');
    let fault = match words.next()? {
        "fail" => Some(Fault::Fail),
        "tear" => Some(Fault::Tear),
        "lose" => Some(Fault::LoseAcknowledgement),
        "abort" => Some(Fault::Abort),
        "count" => None,
        _ => return None,
    };
    let number = words.next()?.parse().ok()?;
    let mark = PathBuf::from(words.next()?);
    let watch = move |seen: u64, fails: bool| {
        if fault.is_none() || fails {
            drop(fs::write(&mark, seen.to_string()));
        }
    };
    let planned = fault.map(|fault| (number, fault));
    Some(Arc::new(Mutex::new(State::watched(planned, Box::new(watch)))))
}
