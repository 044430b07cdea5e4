//! The output line of `sha256sum`: the digest, two spaces, the name.
//!
//! A name consists of bytes and need not be UTF-8; the bytes are printed as they are. Only three
//! bytes need escapes: backslash, line feed, and carriage return become `\\`, `\n`, and `\r`. If a
//! name needs an escape, the whole line starts with a backslash, which tells `sha256sum -c` to undo
//! the escapes. (Coreutils before 9.0 do not escape the carriage return.)

use std::borrow::Cow;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::hash::Sum;

/// Writes the line for one file.
pub(crate) fn write(out: &mut impl Write, path: &Path, sum: &Sum) -> io::Result<()> {
    let name = escape(path.as_os_str().as_bytes());
    let mark = if matches!(name, Cow::Owned(_)) { "\\" } else { "" };
    write!(out, "{mark}{sum:x}  ")?;
    out.write_all(&name)?;
    out.write_all(b"\n")
}

/// Returns the path for a message on one line.
pub(crate) fn printable(path: &Path) -> String {
    String::from_utf8_lossy(&escape(path.as_os_str().as_bytes())).into_owned()
}

/// Escapes a name; the result is borrowed if nothing had to be escaped.
fn escape(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
        return Cow::Borrowed(name);
    }
    let mut escaped = Vec::with_capacity(name.len() + 8);
    for &byte in name {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            _ => escaped.push(byte),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::ffi::OsStr;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn line(name: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, Path::new(OsStr::from_bytes(name)), &Sha256::new().finalize()).unwrap();
        out
    }

    #[test]
    fn plain_name_is_not_escaped() {
        assert_eq!(line(b" a\tb*\"\xff"), [EMPTY.as_bytes(), b"   a\tb*\"\xff\n"].concat());
    }

    #[test]
    fn three_bytes_are_escaped_and_mark_the_line() {
        assert_eq!(line(b"a\\b\nc\rd"), [b"\\", EMPTY.as_bytes(), b"  a\\\\b\\nc\\rd\n"].concat());
    }
}
