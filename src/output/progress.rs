//! Progress: bars on a terminal, a line every ten seconds elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Printer;
use crate::pipeline::progress::Progress;

/// How often bars are redrawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the meters of `progress` until it is dropped.
pub struct Display {
    task: Option<tokio::task::JoinHandle<()>>,
    bars: Option<MultiProgress>,
}

impl Display {
    /// Starts to show. Must be called inside a tokio runtime.
    pub fn start(printer: &Printer, progress: &Progress) -> Self {
        if printer.quiet || printer.no_progress || printer.json {
            return Self { task: None, bars: None };
        }
        let progress = progress.clone();
        if std::io::stderr().is_terminal() {
            let bars = MultiProgress::new();
            let task = tokio::spawn(draw(bars.clone(), progress));
            return Self { task: Some(task), bars: Some(bars) };
        }
        Self { task: Some(tokio::spawn(write_lines(*printer, progress))), bars: None }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        if let Some(bars) = &self.bars
            && let Err(error) = bars.clear()
        {
            tracing::debug!(%error, "progress bars stay on the screen");
        }
    }
}

async fn draw(bars: MultiProgress, progress: Progress) {
    let known = "{prefix:22} {bar:30} {bytes:>11} of ~{total_bytes:11} {bytes_per_sec:>12} {msg}";
    let unknown = "{prefix:22} {spinner} {bytes:>11} {bytes_per_sec:>12} {msg}";
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let mut shown: HashMap<usize, ProgressBar> = HashMap::new();
    loop {
        for (at, meter) in progress.meters().into_iter().enumerate() {
            let (bytes, total, records, finished) = meter.reading();
            let bar = shown.entry(at).or_insert_with(|| {
                let bar = bars.add(ProgressBar::new(total));
                bar.set_prefix(meter.label.clone());
                bar
            });
            if bar.is_finished() {
                continue;
            }
            bar.set_style(style(if total > 0 { known } else { unknown }));
            bar.set_length(total.max(bytes));
            bar.set_position(bytes);
            bar.set_message(format!("{} records", super::count(records)));
            if finished {
                bar.finish();
            }
        }
        tokio::time::sleep(REDRAW).await;
    }
}

async fn write_lines(printer: Printer, progress: Progress) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(LINE_INTERVAL).await;
        for meter in progress.meters() {
            let (bytes, total, records, finished) = meter.reading();
            if finished {
                continue;
            }
            let of =
                if total > 0 { format!(" of ~{}", super::bytes(total)) } else { String::new() };
            let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            printer.note(&format!(
                "{}: {}{of}, {} records, {}",
                meter.label,
                super::bytes(bytes),
                super::count(records),
                super::duration(elapsed)
            ));
        }
    }
}
