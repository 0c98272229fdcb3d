//! What must be settled before libtorch's threads exist.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// How long waiting OpenMP threads spin before they sleep, read when the OpenMP library loads. Its own default spins so
/// long that two runs on one machine collapse; sleeping at once costs the small steps of a search half of their speed.
const SPIN_COUNT: (&str, &str) = ("GOMP_SPINCOUNT", "10000");
/// A user's own word on the same matter.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Replaces this process by itself, once, with a short spin of OpenMP threads, unless the user has chosen. It stays the
/// same process, so that signals reach it.
pub(super) fn spin_shortly() {
    if [SPIN_COUNT.0, WAIT_POLICY].into_iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Comes back only where it fails; then threads spin for longer, which is right all the same.
    let _error = Command::new(program).args(std::env::args_os().skip(1)).env(SPIN_COUNT.0, SPIN_COUNT.1).exec();
}
