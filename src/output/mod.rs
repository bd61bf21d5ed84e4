//! The only code that prints: answers on stdout, everything else on stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the room that prints")]

mod color;
pub mod confirm;
pub mod logging;
pub mod progress;
pub mod stderr;
pub mod table;
pub(crate) mod visible;

use std::io::{self, Write};

use serde::Serialize;

pub use color::Color;

use crate::error::{Error, OrFail, Result};
use crate::job::{Plan, Step};
use table::Table;
use visible::visible;

/// What the user wants to see.
#[derive(Debug, Clone, Copy, Default)]
pub struct Printer {
    /// One JSON document on stdout, errors as JSON on stderr.
    pub json: bool,
    /// No notes, plans and progress.
    pub quiet: bool,
    /// No progress.
    pub no_progress: bool,
    /// Colours.
    pub color: Color,
}

impl Printer {
    /// Prints an answer. A closed pipe is not an error: the reader has seen enough.
    pub fn answer(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        let mut written = stdout.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            written = written.and_then(|()| stdout.write_all(b"\n"));
        }
        match written.and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.or_fail(|| "cannot write to stdout"),
        }
    }

    /// Prints the one JSON document of a command.
    pub fn document(&self, command: &str, body: &impl Serialize) -> Result<()> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            schema: String,
            #[serde(flatten)]
            body: &'a T,
        }
        let document = Document { schema: format!("pfdata.{command}.v1"), body };
        let text =
            serde_json::to_string_pretty(&document).or_fail(|| "cannot write the JSON document")?;
        self.answer(&text)
    }

    /// Says something on stderr, unless asked to be quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            stderr::line(text);
        }
    }

    /// Prints a plan: as the answer of a dry run, otherwise as a note.
    pub fn plan(&self, plan: &Plan, dry_run: bool) -> Result<()> {
        if !dry_run {
            self.note(&self.plan_text(plan));
            return Ok(());
        }
        if self.json {
            return self.document(&plan.command, &DryRun { dry_run: true, plan });
        }
        self.answer(&self.plan_text(plan))
    }

    fn plan_text(&self, plan: &Plan) -> String {
        let mut text = format!("{}\n", self.bold(&format!("Plan: {}", plan.title), true));
        let mut table = Table::new(&[]);
        for action in &plan.actions {
            let store = action.store.map_or("", crate::terms::StoreKind::word);
            table.row([format!("  {}", action.verb), store.to_owned(), action.detail.clone()]);
        }
        text.push_str(&table.render());
        for remark in &plan.remarks {
            text.push_str(&format!("\n  note: {}", visible(remark, &['\n'])));
        }
        text
    }

    /// The table at the end of a job.
    pub fn steps(&self, steps: &[Step]) -> String {
        let mut table =
            Table::new(&["STEP", "STORE", "RECORDS", "RAW", "STORED", "TIME", "RATE", "JOBS"]);
        for step in steps {
            let seconds = step.elapsed_ms as f64 / 1000.0;
            let rate = step.bytes_plain as f64 / seconds.max(0.001);
            table.row([
                step.name.clone(),
                step.store.map_or("", crate::terms::StoreKind::word).to_owned(),
                some(step.records, count),
                some(step.bytes_plain, bytes),
                some(step.bytes_stored, bytes),
                duration(step.elapsed_ms),
                some(rate as u64, |rate| format!("{}/s", bytes(rate))),
                some(step.jobs as u64, count),
            ]);
        }
        table.render()
    }

    /// Prints an error, the one place where that happens.
    pub fn error(&self, error: &Error) {
        if self.json {
            let document = serde_json::json!({
                "schema": "pfdata.error.v1",
                "error": error.message(),
                "kind": error.kind().word(),
                "exit_code": error.kind().exit_code(),
                "causes": error.causes(),
                "hint": error.hint_text(),
            });
            stderr::line(&document.to_string());
            return;
        }
        let shown = |text: &str| visible(text.trim_end(), &['\n']).replace('\n', "\n    ");
        stderr::line(&format!(
            "{} {}",
            self.paint("31;1", "error:", false),
            shown(error.message())
        ));
        for cause in error.causes() {
            stderr::line(&format!("  caused by: {}", shown(cause)));
        }
        if let Some(hint) = error.hint_text() {
            stderr::line(&format!("{} {}", self.paint("36", "hint:", false), shown(hint)));
        }
    }

    /// Text in bold, where colour is wanted on stdout (or stderr).
    pub fn bold(&self, text: &str, stderr: bool) -> String {
        self.paint("1", text, !stderr)
    }

    fn paint(&self, code: &str, text: &str, stdout: bool) -> String {
        let colored = if stdout { self.color.on_stdout() } else { self.color.on_stderr() };
        if colored { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[derive(Serialize)]
struct DryRun<'a> {
    dry_run: bool,
    plan: &'a Plan,
}

fn some(number: u64, show: impl Fn(u64) -> String) -> String {
    if number == 0 { "—".to_owned() } else { show(number) }
}

/// A count with separators: `4,210,332`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in binary units: `2.6 GiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (number as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// A time span: `340 ms`, `4.2 s`, `2m41s`, `3h05m`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(visible("é\u{1b}[2Jx\ny", &['\n']), "é\\u{1b}[2Jx\ny");
        let mut table = Table::new(&["NAME"]);
        table.row(["a\r\nb".to_owned()]);
        assert_eq!(table.render().lines().last(), Some(" a\\r\\nb"));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(4_210_332), "4,210,332");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(340), "340 ms");
        assert_eq!(duration(161_000), "2m41s");
        assert_eq!(duration(11_100_000), "3h05m");
    }
}
