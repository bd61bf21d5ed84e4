//! What the process does for its own safety before it reads anything secret.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{OrFail, Result};

/// Turns core dumps off: one would hold the keys, the passwords and rows as they were read.
///
/// Children inherit the limit. It is one byte, not none: both write no file, but with none Linux
/// still feeds a dump to a program that is set as its `core_pattern` (core(5)), and such a program
/// keeps it. On Linux this process cannot be dumped at all, nor be read or traced by another one
/// of the same user through `/proc` or ptrace (PR_SET_DUMPABLE(2const)); a program that it starts
/// can be traced again.
///
/// # Errors
///
/// Exit 1 when the system refuses it.
pub fn no_core_dumps() -> Result<()> {
    let refused = || "core dumps cannot be turned off";
    let most = getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1));
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, limit).or_fail(refused)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable).or_fail(refused)?;
    }
    Ok(())
}

/// Whether whoever started the process wants it to outlive its session, as `nohup` does: SIGHUP,
/// the first signal, is ignored (`SigIgn` of proc(5)).
pub(crate) fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}
