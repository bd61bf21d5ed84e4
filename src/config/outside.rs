//! What is read from outside the configuration: files and the output of commands, both bounded.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::withheld::Withheld;
use crate::error::{Error, OrFail, Result};

/// The most that a configuration file, a secret's file or a command's output may hold.
pub(crate) const LIMIT: u64 = 4 << 20;

/// How long a `${cmd:…}` may take.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// The text of a file, at most [`LIMIT`] bytes of UTF-8. Exit 2 otherwise.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).or_usage(|| format!("cannot read {shown}"))?;
    if !metadata.is_file() {
        return Err(Error::usage(format!("cannot read {shown}: it is not a file")));
    }
    let file = File::open(path).or_usage(|| format!("cannot read {shown}"))?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).or_usage(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::usage(format!("{shown} is larger than {} MiB", LIMIT >> 20)));
    }
    // The error of the conversion is left out: it carries the bytes.
    String::from_utf8(bytes).map_err(|_| Error::usage(format!("{shown} is not UTF-8 text")))
}

/// A secret's file, without the newlines at its end.
pub(crate) fn read_file(path: &Path) -> Result<String> {
    read_text(path).map(trimmed)
}

fn trimmed(mut text: String) -> String {
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    text
}

/// What `sh -c LINE` prints when run in `folder`, without the newlines at its end. Its standard
/// error is thrown away, for it may hold what must not be logged. It gets the environment of this
/// process without what is `withheld`. Blocks for up to 30 seconds; then the command and what it
/// started are killed.
pub(crate) fn run_command(line: &str, folder: &Path, withheld: &Withheld) -> Result<String> {
    run_bounded(line, folder, withheld, COMMAND_TIME)
}

fn run_bounded(line: &str, folder: &Path, withheld: &Withheld, limit: Duration) -> Result<String> {
    let deadline = Instant::now() + limit;
    let mut command = Command::new("sh");
    for (name, value) in std::env::vars_os() {
        if withheld.hides(&name, &value) {
            command.env_remove(name);
        }
    }
    let mut child = command
        .arg("-c")
        .arg(line)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .or_usage(|| "the command of `${cmd:…}` cannot be started")?;
    let output = receive(&mut child, deadline);
    let status = wait(&mut child, deadline);
    let (Some(output), Some(status)) = (output, status) else {
        kill(&mut child);
        return Err(Error::usage(format!(
            "the command of `${{cmd:…}}` did not end within {} s",
            limit.as_secs()
        )));
    };
    if !status.success() {
        let how = status.code().map_or("was ended by a signal".to_owned(), |code| {
            format!("failed with exit code {code}")
        });
        return Err(Error::usage(format!("the command of `${{cmd:…}}` {how}")).hint(
            "run it by hand (its output is never shown here), without the keys and every \
                 PFDATA_… variable: a command does not get them",
        ));
    }
    if output.len() as u64 > LIMIT {
        return Err(Error::usage("the command of `${cmd:…}` printed too much"));
    }
    String::from_utf8(output)
        .map(trimmed)
        .map_err(|_| Error::usage("the command of `${cmd:…}` did not print UTF-8 text"))
}

/// Everything the child prints; `None` when the deadline passes first.
fn receive(child: &mut Child, deadline: Instant) -> Option<Vec<u8>> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if stdout.take(LIMIT + 1).read_to_end(&mut bytes).is_ok() && sender.send(bytes).is_err() {
            tracing::debug!("a command printed after its time was over");
        }
    });
    receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
        tracing::debug!(%error, "a command's processes could not be ended");
    }
    if let Err(error) = child.wait() {
        tracing::debug!(%error, "a command could not be waited for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_its_value() {
        let folder = Path::new("/");
        assert_eq!(run_command("printf 'a b\\n\\n'", folder, &Withheld::default()).unwrap(), "a b");
        assert_eq!(run_command("pwd", folder, &Withheld::default()).unwrap(), "/");
    }

    #[test]
    fn a_failed_command_shows_neither_line_nor_output() {
        let line = "echo hidden-output; echo hidden-error >&2; exit 3";
        let error = run_command(line, Path::new("/"), &Withheld::default()).unwrap_err();
        assert_eq!(error.to_string(), "the command of `${cmd:…}` failed with exit code 3");
        assert!(!format!("{error:?}").contains("hidden"));
    }

    #[test]
    fn a_command_that_hangs_or_leaves_a_child_is_ended() {
        let start = Instant::now();
        for line in ["sleep 60", "sleep 60 & echo x"] {
            let error =
                run_bounded(line, Path::new("/"), &Withheld::default(), Duration::from_millis(200))
                    .unwrap_err();
            assert!(error.to_string().contains("did not end within"), "{error}");
        }
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn output_is_bounded() {
        let error = run_command("head -c 9000000 /dev/zero", Path::new("/"), &Withheld::default())
            .unwrap_err();
        assert!(error.to_string().contains("the command of"), "{error}");
    }
}
