//! Standard output for results, standard error for everything that is about them.
//!
//! Colour and moving bars only go to a terminal, and not if `NO_COLOR` is set or `TERM` is `dumb`. Output is
//! written as a whole, and a reader that went away ends the command without a panic.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Where a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// Whether standard error takes colour.
    pub color: bool,
    /// Whether standard error is a terminal on which a line can be drawn again.
    pub bars: bool,
}

impl Console {
    /// What the standard streams of this process can do.
    pub fn of_process() -> Console {
        let terminal = io::stderr().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Console {
            color: terminal && !dumb && !set("NO_COLOR"),
            bars: terminal && !dumb,
        }
    }

    /// Writes a result to standard output.
    ///
    /// # Errors
    ///
    /// Nobody reads it any more, or the disk is full.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                Failure::OutputClosed
            } else {
                Failure::Run(format!("cannot write to standard output: {error}"))
            }
        })
    }

    /// Writes to standard error. A message that cannot be written is lost: there is nowhere to say so.
    pub fn note(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Writes `error: message` or `error[CODE]: message` to standard error.
    pub fn error(&self, code: Option<&str>, message: &str) {
        let (on, off) = self.style("\x1b[1;31m");
        let code = code.map_or(String::new(), |code| format!("[{code}]"));
        self.note(&format!("{on}error{code}{off}: {message}\n"));
    }

    /// Writes `warning: message` to standard error.
    pub fn warning(&self, message: &str) {
        let (on, off) = self.style("\x1b[1;33m");
        self.note(&format!("{on}warning{off}: {message}\n"));
    }

    /// Writes `warning[CODE]: message` to standard error.
    pub fn coded_warning(&self, code: &str, message: &str) {
        let (on, off) = self.style("\x1b[1;33m");
        self.note(&format!("{on}warning[{code}]{off}: {message}\n"));
    }

    fn style(&self, on: &'static str) -> (&'static str, &'static str) {
        if self.color {
            (on, "\x1b[0m")
        } else {
            ("", "")
        }
    }
}
