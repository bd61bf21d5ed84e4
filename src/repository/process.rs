//! Who holds something: a process, told apart from every other one that ever had its number.

use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// After how many seconds without renewal a holder on another host counts as gone.
pub const RENEWAL_SECONDS_MAX: i64 = 60;

/// A process on a host, as leases and holds name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Boot id of the host's kernel: process numbers begin anew at each boot.
    pub boot: String,
    /// Process number.
    pub process: u32,
    /// When the process started, in clock ticks since boot: numbers are reused.
    pub started: u64,
    /// The job it runs.
    pub job: String,
    /// What it runs, in words: `refresh development`.
    pub command: String,
    /// When it last said that it is alive.
    pub renewed: Timestamp,
}

impl Holder {
    /// This process, running `job`.
    pub fn this(job: &str, command: &str) -> Self {
        let process = std::process::id();
        Self {
            host: host(),
            boot: boot(),
            process,
            started: started(process).unwrap_or(0),
            job: job.to_owned(),
            command: command.to_owned(),
            renewed: Timestamp::now(),
        }
    }

    /// Whether the process may still be running. On this host that is known; on another it is
    /// believed for [`RENEWAL_SECONDS_MAX`] after its last renewal.
    pub fn alive(&self) -> bool {
        if self.host == host() {
            return self.boot == boot() && started(self.process) == Some(self.started);
        }
        Timestamp::now().as_second() - self.renewed.as_second() <= RENEWAL_SECONDS_MAX
    }

    /// `refresh development (process 4711 on db1, since …)`, for messages.
    pub fn describe(&self) -> String {
        format!("`{}`, process {} on {}, job {}", self.command, self.process, self.host, self.job)
    }
}

/// This process for a name: a digest of the host's, the number, and when it started.
pub(crate) fn this() -> (String, u32, u64) {
    let process = std::process::id();
    let host = xxhash_rust::xxh3::xxh3_64(host().as_bytes()) as u32;
    (format!("{host:08x}"), process, started(process).unwrap_or(0))
}

/// Whether the process of this number that started then still runs on this host.
pub(crate) fn runs(process: u32, start: u64) -> bool {
    started(process) == Some(start)
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn boot() -> String {
    // Linux: Documentation/admin-guide/sysctl/kernel.rst, random/boot_id.
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name in field 2 may hold blanks and brackets. A
/// zombie has ended: nobody has asked for its exit code yet.
fn started(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut after_name = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(after_name.next()?, "Z" | "X") {
        return None;
    }
    after_name.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_with_its_number_is_not() {
        let this = Holder::this("job", "test");
        assert!(this.alive());
        assert!(!Holder { started: this.started + 1, ..this.clone() }.alive());
        assert!(!Holder { boot: "another".into(), ..this.clone() }.alive());
        let elsewhere = Holder { host: "elsewhere".into(), ..this };
        assert!(elsewhere.alive());
        let renewed = Timestamp::from_second(Timestamp::now().as_second() - 61).unwrap();
        assert!(!Holder { renewed, ..elsewhere }.alive());
    }
}
