//! What must be settled before libtorch's threads exist.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Set before the OpenMP library loads, waiting threads sleep; spinning, two threads on a shared machine collapse.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Replaces this process by itself, once, with sleeping OpenMP threads, unless the user has chosen. It stays the same
/// process, so that signals reach it.
pub(super) fn sleep_while_waiting() {
    if std::env::var_os(WAIT_POLICY).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Comes back only where it fails; then threads spin, which is slower but right.
    let _error = Command::new(program).args(std::env::args_os().skip(1)).env(WAIT_POLICY, "PASSIVE").exec();
}
