//! Standard error, which may be gone: a full disk under a log, a pipe that was closed. What is said
//! there is a courtesy, and no job ends because nobody hears it. Notes, errors, logs and the panic
//! hook go through here; progress bars have a terminal, or are not drawn.

use std::io::{self, Write};

/// A writer to standard error whose writes never fail.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        // There is nobody left to tell.
        drop(stderr.write_all(bytes).and_then(|()| stderr.flush()));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line.
pub(super) fn line(text: &str) {
    drop(Stderr.write_all(format!("{text}\n").as_bytes()));
}

/// Writes a question, whose answer follows on the same line.
pub(super) fn ask(text: &str) {
    drop(Stderr.write_all(text.as_bytes()));
}

/// Has a panic, which is a mistake of pfdata, told in a line instead of a dump that may hold data.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        line(&format!(
            "error: pfdata has made a mistake of its own, at {at}\nhint: please report it"
        ));
    }));
}
