//! Memory that the host has left.

use crate::units::Bytes;

/// What a process of `present` bytes could grow to: with what is free on the machine, within its control group's limit.
///
/// Nothing where the system does not tell (outside Linux).
#[must_use]
pub fn free_memory(present: Bytes) -> Option<Bytes> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 =
        text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.split_whitespace().next()?.parse().ok()?;
    let most = Bytes(kib * 1024 + present.0);
    Some(control_group_limit().map_or(most, |limit| limit.min(most)))
}

/// `memory.max` of the process's control group (version 2), where it sets one.
fn control_group_limit() -> Option<Bytes> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let text = std::fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.max")).ok()?;
    text.trim().parse().ok().map(Bytes)
}
