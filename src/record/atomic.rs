//! Files that are there whole or not at all, also after a crash.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use super::RecordError;
use super::fault::{Moment, pass};

/// How the name of a file that is not finished begins.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// Writes `bytes` to `path` in one step: a reader sees the old file or the new one, never a part.
///
/// Written to a file beside it, synced, renamed over it. Folders above it are made as needed.
///
/// # Errors
/// [`RecordError::Write`] with `path` and the system's reason; the old file is then untouched.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    replace(path, bytes).map_err(|source| RecordError::write(path, source))
}

/// Writes `value` as JSON with indents and a last newline, in the order of its fields.
///
/// Numbers that are not finite become `null`.
///
/// # Errors
/// As [`write()`].
///
/// # Panics
/// Never for the plain records of this crate: their maps have string keys.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RecordError> {
    let mut text = serde_json::to_string_pretty(value).expect("plain records always serialize");
    text.push('\n');
    write(path, text.as_bytes())
}

/// Reads the JSON file at `path` as a `T`.
///
/// # Errors
/// [`RecordError::Read`] where it cannot be read, [`RecordError::Json`] with the place where it is no `T`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RecordError> {
    let text = std::fs::read_to_string(path).map_err(|source| RecordError::read(path, source))?;
    serde_json::from_str(&text).map_err(|error| RecordError::json(path, &error, 0))
}

/// Removes what a process that was killed had not finished in `folder`; what cannot be removed costs only room.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
        let _ = std::fs::remove_file(entry.path());
    }
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let mut file = unfinished(folder)?;
    pass(Moment::Begun);
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(half)?;
    pass(Moment::Torn);
    file.write_all(rest)?;
    file.as_file().sync_all()?;
    pass(Moment::Written);
    file.persist(path).map_err(|error| error.error)?;
    pass(Moment::Renamed);
    sync_folder(folder)
}

#[cfg(unix)]
fn unfinished(folder: &Path) -> std::io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    // Without this only the owner could read the result; the umask still applies.
    let readable = std::fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(UNFINISHED).permissions(readable).tempfile_in(folder)
}

#[cfg(not(unix))]
fn unfinished(folder: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)
}

/// Makes the new name last through a power cut; some file systems know no such thing, which is no error.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let _unsupported = File::open(folder)?.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.json");
        write_json(&path, &vec![1, 2]).unwrap();
        write_json(&path, &vec![3]).unwrap();
        assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), [3]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_above_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/numbers.json");
        write(&path, b"[]").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"[]");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_and_so_is_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let message = write(&folder.path().join("file/such.json"), b"").unwrap_err().to_string();
        assert!(message.contains("file/such.json cannot be written: File exists"), "{message}");
    }

    #[test]
    fn bad_json_is_an_error_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.json");
        write(&path, b"[1,\n \"x\"]").unwrap();
        let message = read_json::<Vec<u32>>(&path).unwrap_err().to_string();
        assert!(message.ends_with("bad.json:2:4: invalid type: string \"x\", expected u32"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write(&ours, b"").unwrap();
        std::fs::write(&plain, b"").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
