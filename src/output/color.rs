//! Whether output is coloured: the one answer to `--color`, `NO_COLOR`, `TERM` and the terminal.
//! Asked by what prints and by the logs; reads the environment and touches nothing.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether stdout is coloured.
    pub(super) fn on_stdout(self) -> bool {
        self.on(io::stdout().is_terminal())
    }

    /// Whether stderr is coloured.
    pub(super) fn on_stderr(self) -> bool {
        self.on(io::stderr().is_terminal())
    }

    fn on(self, terminal: bool) -> bool {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        self.decide(terminal, no_color.as_deref(), term.as_deref())
    }

    /// An empty `NO_COLOR` says nothing: see <https://no-color.org>.
    fn decide(self, terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
        let plain = no_color.is_some_and(|value| !value.is_empty())
            || term.is_some_and(|value| value == "dumb");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && !plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_to_every_way_of_asking() {
        let xterm = Some("xterm");
        for (color, terminal, no_color, term, expected) in [
            (Color::Auto, true, None, xterm, true),
            (Color::Auto, true, None, None, true),
            (Color::Auto, true, Some(""), xterm, true),
            (Color::Auto, true, Some("1"), xterm, false),
            (Color::Auto, true, None, Some("dumb"), false),
            (Color::Auto, false, None, xterm, false),
            (Color::Always, false, Some("1"), Some("dumb"), true),
            (Color::Never, true, None, xterm, false),
        ] {
            let decided = color.decide(terminal, no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(decided, expected, "{color:?} {terminal} {no_color:?} {term:?}");
        }
    }
}
