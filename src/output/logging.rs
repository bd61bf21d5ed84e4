//! Logs: tracing events on stderr, as text or JSON lines.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use super::color::Color;
use super::stderr::Stderr;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `verbosity` counts `-v`: 0 warnings, 1 info, 2 debug, 3 trace of pfdata
/// itself.
pub fn start(format: LogFormat, verbosity: u8, color: Color) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives(verbosity)))
        .with_writer(|| Stderr)
        .log_internal_errors(false)
        .with_timer(SystemTime)
        .with_ansi(color.on_stderr());
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A second start happens in tests only, and the first one's settings stay.
    drop(started);
}

/// Libraries say nothing, at any level: what they log can hold connection parameters.
fn directives(verbosity: u8) -> String {
    let level = match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    format!("off,pfdata={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verbosity_lets_a_library_speak() {
        for (verbosity, expected) in
            [(0, "off,pfdata=warn"), (1, "off,pfdata=info"), (2, "off,pfdata=debug")]
        {
            assert_eq!(directives(verbosity), expected);
        }
        for verbosity in [3, 4, u8::MAX] {
            assert_eq!(directives(verbosity), "off,pfdata=trace");
        }
    }
}
