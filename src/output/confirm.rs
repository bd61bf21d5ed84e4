//! Confirmation: the environment's name, typed on a terminal or given with `--confirm`.

use std::io::{self, BufRead, IsTerminal};

use super::Printer;
use crate::error::{Error, OrFail, Result};

/// Makes sure that `environment` is meant. `given` is the value of `--confirm`. Without a
/// terminal a missing confirmation is exit 5 at once, never a wait.
pub fn environment(
    printer: &Printer,
    environment: &str,
    given: Option<&str>,
    what: &str,
) -> Result<()> {
    match given {
        Some(name) if name == environment => return Ok(()),
        Some(name) => {
            return Err(Error::refused(format!(
                "--confirm names `{name}`, and {what} would change `{environment}`"
            )));
        }
        None => {}
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() || printer.json {
        return Err(Error::refused(format!("{what} of `{environment}` is not confirmed"))
            .hint(format!("add --confirm {environment}")));
    }
    super::stderr::ask(&format!("Type `{environment}` to continue: "));
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).or_fail(|| "cannot read the confirmation")?;
    if line.trim() == environment {
        return Ok(());
    }
    Err(Error::refused(format!("{what} of `{environment}` was not confirmed")))
}
