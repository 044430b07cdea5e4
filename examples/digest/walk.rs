//! The regular files under a path, in path order, in constant memory.
//!
//! Path order is the order of the bytes of the whole path, so the output of `digest` equals the
//! output of `find FOLDER -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum`. A folder sorts
//! as if its name ended with a slash, because that is how the paths of its files compare with the
//! paths of its siblings: `a-b`, then `a/x`, then `a0`.
//!
//! Sorting a folder at once requires all its names in memory, and a folder may have a million of
//! them. So a folder is read in passes: each pass keeps the `BATCH` smallest names that are larger
//! than the last name delivered. Nearly every folder takes one pass. A huge folder is read several
//! times, which costs less than reading its files, and no folder needs more memory than one batch.
//! Ready-made walkers hold all names of a folder to sort them.
//!
//! Symbolic links in a folder are not followed, so there are no loops. Pipes, sockets, and devices
//! are left out.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::vec;

/// The number of names of one folder that are held at a time: about ten megabytes.
const BATCH: usize = 1 << 17;

/// A path that could not be read, and the reason.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// An iterator over the files under `root`. If it cannot read a path, it reports the failure in the
/// path's place, and continues.
pub(crate) struct Walk {
    root: Option<PathBuf>,
    folders: Vec<Folder>,
    batch: usize,
}

impl Walk {
    /// Starts a walk of `root`, a folder or one regular file. A symbolic link named by the user is
    /// followed.
    pub(crate) fn new(root: PathBuf) -> Walk {
        Walk { root: Some(root), folders: Vec::new(), batch: BATCH }
    }

    fn start(&mut self, root: PathBuf) -> Option<Result<PathBuf, Failure>> {
        match fs::metadata(&root) {
            Ok(metadata) if metadata.is_dir() => {
                self.folders.push(Folder::new(root, self.batch));
                None
            }
            Ok(metadata) if metadata.is_file() => Some(Ok(root)),
            Ok(_) => Some(Err(Failure { path: root, error: io::Error::other("not a regular file or a folder") })),
            Err(error) => Some(Err(Failure { path: root, error })),
        }
    }
}

impl Iterator for Walk {
    type Item = Result<PathBuf, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take()
            && let Some(found) = self.start(root)
        {
            return Some(found);
        }
        loop {
            let folder = self.folders.last_mut()?;
            match folder.next() {
                Some(Ok(name)) => {
                    let path = folder.path.join(OsStr::from_bytes(&name));
                    if !name.ends_with(b"/") {
                        return Some(Ok(path));
                    }
                    self.folders.push(Folder::new(path, self.batch));
                }
                Some(Err(error)) => return Some(Err(Failure { path: folder.path.clone(), error })),
                None => drop(self.folders.pop()),
            }
        }
    }
}

/// The names in one folder, in order; the names of subfolders end in a slash.
struct Folder {
    path: PathBuf,
    batch: usize,
    names: vec::IntoIter<Vec<u8>>,
    /// The largest name of the current batch.
    last: Option<Vec<u8>>,
    /// Whether there may be larger names than `last`.
    more: bool,
}

impl Folder {
    fn new(path: PathBuf, batch: usize) -> Folder {
        Folder { path, batch, names: Vec::new().into_iter(), last: None, more: true }
    }

    /// Reads the next batch. Names that were read before an error count.
    fn read(&mut self) -> io::Result<()> {
        let mut smallest = BinaryHeap::new();
        let result = smallest_names(&self.path, self.last.as_deref(), self.batch, &mut smallest);
        self.more = *result.as_ref().unwrap_or(&false);
        if self.more {
            self.last = smallest.peek().cloned();
        }
        self.names = smallest.into_sorted_vec().into_iter();
        result.map(drop)
    }
}

impl Iterator for Folder {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.names.as_slice().is_empty()
            && self.more
            && let Err(error) = self.read()
        {
            return Some(Err(error));
        }
        self.names.next().map(Ok)
    }
}

/// Collects the `limit` smallest names in the folder that are larger than `after`, and returns
/// `true` if there are more.
fn smallest_names(
    folder: &Path,
    after: Option<&[u8]>,
    limit: usize,
    smallest: &mut BinaryHeap<Vec<u8>>,
) -> io::Result<bool> {
    let mut more = false;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(name) = name_to_sort(entry.file_name(), entry.file_type()) else { continue };
        if after.is_some_and(|after| *name <= *after) {
            continue;
        }
        smallest.push(name);
        if smallest.len() > limit {
            smallest.pop();
            more = true;
        }
    }
    Ok(more)
}

/// Returns the name in the form in which it sorts, or `None` for anything but a regular file or a
/// folder. A name whose type cannot be determined counts as a file: opening it will report the
/// reason.
fn name_to_sort(name: OsString, file_type: io::Result<FileType>) -> Option<Vec<u8>> {
    let mut name = name.into_vec();
    match file_type {
        Ok(file_type) if file_type.is_dir() => name.push(b'/'),
        Ok(file_type) if !file_type.is_file() => return None,
        Ok(_) | Err(_) => {}
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for file in files {
            let path = tree.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        tree
    }

    fn walk(root: &Path, batch: usize) -> Vec<PathBuf> {
        // The limit catches a walk that goes in circles.
        let walk = Walk { batch, ..Walk::new(root.to_owned()) }.take(1000);
        walk.map(|found| found.unwrap().strip_prefix(root).unwrap().to_owned()).collect()
    }

    #[test]
    fn files_come_in_the_order_of_path_bytes() {
        let files = ["Z", "a b", "a-b/c", "a.txt", "a/x.y/1", "a/x/1", "a0", "b/b/b", "b0", "é"];
        assert!(files.is_sorted());
        assert_eq!(walk(tree(&files).path(), BATCH), files.iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn passes_deliver_what_one_pass_would() {
        let files: Vec<_> = (0..30).flat_map(|n| [format!("{n:03}"), format!("d{n}/x"), format!("d{n}/y")]).collect();
        let tree = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let expected = walk(tree.path(), BATCH);
        assert_eq!(expected.len(), files.len());
        for batch in [1, 2, 7, 29, 30, 31, 59, 60, 61] {
            assert_eq!(walk(tree.path(), batch), expected, "batches of {batch}");
        }
    }

    #[test]
    fn a_batch_bounds_the_names_held() {
        let files: Vec<_> = (0..50).map(|n| n.to_string()).collect();
        let tree = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let mut folder = Folder::new(tree.path().to_owned(), 8);
        let mut seen = 0;
        while let Some(name) = folder.next() {
            name.unwrap();
            seen += 1;
            assert!(seen <= 50, "a name comes twice");
            assert!(folder.names.len() < 8, "{} names held", folder.names.len());
        }
        assert_eq!(seen, 50);
    }

    #[test]
    fn vanished_folder_is_reported_and_the_rest_is_walked() {
        let tree = tree(&["a", "b/x", "c"]);
        let mut walk = Walk::new(tree.path().to_owned());
        assert_eq!(walk.next().unwrap().unwrap(), tree.path().join("a"));
        fs::remove_dir_all(tree.path().join("b")).unwrap();
        let failure = walk.next().unwrap().unwrap_err();
        assert_eq!((failure.path, failure.error.kind()), (tree.path().join("b"), io::ErrorKind::NotFound));
        assert_eq!(walk.next().unwrap().unwrap(), tree.path().join("c"));
        assert!(walk.next().is_none());
    }

    #[test]
    fn file_is_a_walk_of_one_and_missing_path_is_a_failure() {
        let tree = tree(&["a"]);
        assert_eq!(walk(tree.path(), BATCH), [PathBuf::from("a")]);
        let missing = tree.path().join("b");
        let failures: Vec<_> = Walk::new(missing.clone()).map(|found| found.unwrap_err().path).collect();
        assert_eq!(failures, [missing]);
    }
}
