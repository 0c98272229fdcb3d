//! CIFAR-10 in its binary form (Krizhevsky 2009): six files of records, one label byte and 3 x 32 x 32 pixel bytes each.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::{DataError, Pixels};

/// Names of the classes, in the order of the labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const FOLDER: &str = "cifar-10-batches-bin";
const ARCHIVE: &str = "cifar-10-binary.tar.gz";
/// The five files to learn from, then the one to judge by.
const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
const RECORDS: usize = 10_000;
const SIDE: usize = 32;
const IMAGE: usize = 3 * SIDE * SIDE;
const RECORD: usize = 1 + IMAGE;

/// Reads CIFAR-10: 50,000 images to learn from, then 10,000 to judge by.
///
/// `path` is the folder `cifar-10-batches-bin`, the archive `cifar-10-binary.tar.gz`, or a folder that holds one of them.
///
/// # Errors
/// Where nothing of the kind is there, or a file is missing, cut off, or holds a label that is no class.
pub fn read(path: &Path) -> Result<Pixels, DataError> {
    read_records(path, RECORDS)
}

/// As [`read`], for files of this many records each.
fn read_records(path: &Path, records: usize) -> Result<Pixels, DataError> {
    let bytes = match locate(path) {
        Some(Place::Folder(folder)) => from_folder(&folder)?,
        Some(Place::Archive(archive)) => from_archive(&archive)?,
        None => return Err(DataError::CifarAbsent(path.to_owned())),
    };
    let mut pixels = Pixels {
        name: "cifar-10".to_owned(),
        images: Vec::with_capacity(FILES.len() * records * IMAGE),
        labels: Vec::with_capacity(FILES.len() * records),
        classes: CLASSES.len(),
        training: 5 * records,
        side: SIDE,
    };
    for (file, bytes) in bytes {
        append(&mut pixels, file, &bytes, records)?;
    }
    Ok(pixels)
}

enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
}

fn locate(path: &Path) -> Option<Place> {
    if path.is_file() {
        return Some(Place::Archive(path.to_owned()));
    }
    let inner = path.join(FOLDER);
    let archive = path.join(ARCHIVE);
    if path.join(FILES[0]).is_file() {
        Some(Place::Folder(path.to_owned()))
    } else if inner.is_dir() {
        Some(Place::Folder(inner))
    } else if archive.is_file() {
        Some(Place::Archive(archive))
    } else {
        None
    }
}

/// The path of each of the six files, and its bytes.
type Contents = Vec<(PathBuf, Vec<u8>)>;

fn from_folder(folder: &Path) -> Result<Contents, DataError> {
    FILES.iter().map(|name| from_file(folder, name)).collect()
}

fn from_file(folder: &Path, name: &'static str) -> Result<(PathBuf, Vec<u8>), DataError> {
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(DataError::CifarFileAbsent { place: folder.to_owned(), file: name })
        }
        Err(source) => Err(DataError::Read { path, source }),
    }
}

fn from_archive(archive: &Path) -> Result<Contents, DataError> {
    let mut found = unpack(archive).map_err(|source| DataError::CifarArchive { path: archive.to_owned(), source })?;
    FILES
        .iter()
        .map(|&name| {
            let bytes = found.iter_mut().find(|(file, _)| *file == name).map(|(_, bytes)| std::mem::take(bytes));
            let bytes = bytes.ok_or_else(|| DataError::CifarFileAbsent { place: archive.to_owned(), file: name })?;
            Ok((archive.join(name), bytes))
        })
        .collect()
}

/// Those of the six files that the archive holds, in its order.
fn unpack(archive: &Path) -> std::io::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut entries = tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)));
    for entry in entries.entries()? {
        let mut entry = entry?;
        let path = entry.path()?;
        let Some(&name) = FILES.iter().find(|&&file| path.file_name().is_some_and(|name| name == file)) else {
            continue;
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        found.push((name, bytes));
    }
    Ok(found)
}

fn append(pixels: &mut Pixels, file: PathBuf, bytes: &[u8], records: usize) -> Result<(), DataError> {
    if bytes.len() != records * RECORD {
        return Err(DataError::CifarLength { file, expected: records * RECORD, found: bytes.len() });
    }
    for (record, content) in bytes.chunks_exact(RECORD).enumerate() {
        let (value, image) = (content[0], &content[1..]);
        if usize::from(value) >= CLASSES.len() {
            return Err(DataError::CifarLabel { file, record, value });
        }
        pixels.labels.push(value);
        pixels.images.extend_from_slice(image);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Record `r` of file `f` has label `(f + r) % 10`, and its pixel `p` the value `f + 3 r + p`, all modulo 256.
    fn file(f: usize, records: usize) -> Vec<u8> {
        let byte = |value: usize| u8::try_from(value % 256).unwrap();
        (0..records)
            .flat_map(|r| std::iter::once(byte((f + r) % 10)).chain((0..IMAGE).map(move |p| byte(f + 3 * r + p))))
            .collect()
    }

    fn write_folder(folder: &Path, records: usize) {
        std::fs::create_dir_all(folder).unwrap();
        for (f, name) in FILES.iter().enumerate() {
            std::fs::write(folder.join(name), file(f, records)).unwrap();
        }
    }

    fn write_archive(path: &Path, records: usize) {
        let mut archive = tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::fast()));
        let mut add = |name: String, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes).unwrap();
        };
        add(format!("{FOLDER}/readme.html"), b"<html>");
        // in another order than the folder's
        for (f, name) in FILES.iter().enumerate().rev() {
            add(format!("{FOLDER}/{name}"), &file(f, records));
        }
        archive.into_inner().unwrap().finish().unwrap();
    }

    fn assert_whole(pixels: &Pixels, records: usize) {
        assert_eq!((pixels.labels.len(), pixels.training), (6 * records, 5 * records));
        for f in 0..6 {
            for r in 0..records {
                let index = f * records + r;
                let expected = &file(f, records)[r * RECORD..][..RECORD];
                assert_eq!(pixels.labels[index], expected[0]);
                assert_eq!(&pixels.images[index * IMAGE..][..IMAGE], &expected[1..]);
            }
        }
    }

    fn message(path: &Path, records: usize) -> String {
        read_records(path, records).unwrap_err().to_string()
    }

    #[test]
    fn folder_parent_and_archive_all_give_exactly_what_the_files_say() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(FOLDER);
        write_folder(&folder, 3);
        assert_whole(&read_records(&folder, 3).unwrap(), 3);
        assert_whole(&read_records(parent.path(), 3).unwrap(), 3);
        let other = tempfile::tempdir().unwrap();
        write_archive(&other.path().join(ARCHIVE), 3);
        assert_whole(&read_records(other.path(), 3).unwrap(), 3);
        assert_whole(&read_records(&other.path().join(ARCHIVE), 3).unwrap(), 3);
    }

    #[test]
    fn an_absent_folder_says_what_was_looked_for_and_where_to_get_it() {
        assert_eq!(
            message(Path::new("no/such/place"), 3),
            "cifar-10: found neither `cifar-10-batches-bin` nor `data_batch_1.bin` nor `cifar-10-binary.tar.gz` at \
             `no/such/place`; get cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, or use \
             `data: shapes`, which needs no files"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path(), 2);
        std::fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
        let place = folder.path().display();
        assert_eq!(
            message(folder.path(), 2),
            format!("cifar-10: `{place}` has no `data_batch_4.bin`; unpack cifar-10-binary.tar.gz again")
        );
    }

    #[test]
    fn a_cut_off_file_is_named_with_both_lengths() {
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path(), 2);
        let path = folder.path().join("test_batch.bin");
        std::fs::write(&path, &file(5, 2)[..6000]).unwrap();
        // 2 records of 1 + 3072 bytes
        assert_eq!(
            message(folder.path(), 2),
            format!(
                "cifar-10: `{}` must have 6146 bytes, found 6000; get cifar-10-binary.tar.gz again",
                path.display()
            )
        );
    }

    #[test]
    fn a_label_that_is_no_class_is_named_with_its_record() {
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path(), 2);
        let path = folder.path().join("data_batch_2.bin");
        let mut bytes = file(1, 2);
        bytes[RECORD] = 10;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(
            message(folder.path(), 2),
            format!("cifar-10: `{}`, record 1: the label must be 0 to 9, got 10", path.display())
        );
    }

    #[test]
    fn a_cut_off_archive_and_a_file_that_is_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ARCHIVE);
        write_archive(&path, 2);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let cut = message(folder.path(), 2);
        assert!(cut.starts_with(&format!("cifar-10: `{}` cannot be unpacked: ", path.display())), "{cut}");
        std::fs::write(&path, b"not an archive").unwrap();
        assert_eq!(
            message(&path, 2),
            format!(
                "cifar-10: `{}` cannot be unpacked: invalid gzip header; get cifar-10-binary.tar.gz again",
                path.display()
            )
        );
    }
}
