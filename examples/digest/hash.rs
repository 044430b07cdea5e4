//! The digest of one file, read piece by piece.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::progress::Progress;

/// The size of a piece: large enough to make system calls cheap, small enough for the processor's
/// caches.
pub(crate) const BUFFER: usize = 128 * 1024;

/// A SHA-256.
pub(crate) type Sum = sha2::digest::Output<Sha256>;

/// Reads the file to its end through `buffer`.
pub(crate) fn file(path: &Path, buffer: &mut [u8], progress: &Progress) -> io::Result<Sum> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                progress.bytes_done(count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
