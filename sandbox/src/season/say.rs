//! What the driver tells a person and asks of its supervisor: lines on stdout, each whole and
//! flushed. Never a phone number, a name or a PIN. Used by every stage.

use std::io::Write;
use std::time::Instant;

/// Writes lines with the real time since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Say {
    began: Instant,
    is_silent: bool,
}

impl Say {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            is_silent: false,
        }
    }

    /// Nobody reads along: the page shows what it needs itself.
    pub(crate) fn silent() -> Self {
        Self {
            is_silent: true,
            ..Self::start()
        }
    }

    /// A progress line of a stage.
    pub(crate) fn progress(self, stage: &str, text: &str) {
        if self.is_silent {
            return;
        }
        let seconds = self.began.elapsed().as_secs();
        let tenths = self.began.elapsed().subsec_millis() / 100;
        line(&format!("{seconds:>4}.{tenths}s  {stage:<9} {text}"));
    }
}

/// One line as it is. A reader that went away is not our trouble: the exit code still tells.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
