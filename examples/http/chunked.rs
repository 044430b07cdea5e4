//! A decoder for chunked bodies. It does no I/O: the caller holds the bytes.
//!
//! The decoder is strict wherever a proxy in front might interpret the same bytes differently
//! (request smuggling). A size has at least one digit. Every line (a size, a trailer, and the empty
//! line at the end) ends with CR and LF and contains no other line feed. `httparse` is more lenient
//! about all of these.

use httparse::{EMPTY_HEADER, Status, parse_chunk_size, parse_headers};

/// The longest line with a size, including its extension.
const MAX_SIZE_LINE: usize = 256;

/// The largest number of fields in the trailer section.
const MAX_TRAILERS: usize = 32;

const CRLF: &[u8] = b"\r\n";

/// The position in the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chunked {
    /// Before the line with a size.
    Size,
    /// Inside a chunk, with this many bytes still to come.
    Data(u64),
    /// Before the end of the line that ends a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
}

/// The piece at the front of the input.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// These bytes of the body.
    Data(&'a [u8]),
    /// Framing of this many bytes between parts of the body.
    Framing(usize),
    /// The end of the body, which takes this many bytes.
    End(usize),
    /// There are too few bytes to tell.
    Partial,
}

/// The bytes are not a chunked body.
#[derive(Debug)]
pub(crate) struct Malformed;

impl Chunked {
    /// Returns the piece at the front of `input`. The caller removes the piece, and calls this
    /// again.
    ///
    /// Trailers are complete only when all of them are in `input`, so the caller limits the length
    /// of the input.
    pub(crate) fn next<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, Malformed> {
        match *self {
            Self::Size => self.size(input),
            Self::Data(_) if input.is_empty() => Ok(Piece::Partial),
            Self::Data(left) => {
                let data = &input[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                let left = left - data.len() as u64;
                *self = if left > 0 { Self::Data(left) } else { Self::DataEnd };
                Ok(Piece::Data(data))
            }
            Self::DataEnd if input.starts_with(CRLF) => {
                *self = Self::Size;
                Ok(Piece::Framing(CRLF.len()))
            }
            Self::DataEnd if CRLF.starts_with(input) => Ok(Piece::Partial),
            Self::DataEnd => Err(Malformed),
            Self::Trailers => match parse_headers(input, &mut [EMPTY_HEADER; MAX_TRAILERS]) {
                Ok(Status::Complete((len, _))) if has_crlf_only(&input[..len]) => Ok(Piece::End(len)),
                Ok(Status::Partial) if has_crlf_only(input) => Ok(Piece::Partial),
                _ => Err(Malformed),
            },
        }
    }

    fn size<'a>(&mut self, input: &[u8]) -> Result<Piece<'a>, Malformed> {
        let line = &input[..input.len().min(MAX_SIZE_LINE)];
        match parse_chunk_size(line).map_err(|_| Malformed)? {
            Status::Complete((len, size)) => {
                if !line[0].is_ascii_hexdigit() || !has_crlf_only(&line[..len]) {
                    return Err(Malformed);
                }
                *self = if size > 0 { Self::Data(size) } else { Self::Trailers };
                Ok(Piece::Framing(len))
            }
            Status::Partial if line.len() == MAX_SIZE_LINE => Err(Malformed),
            Status::Partial => Ok(Piece::Partial),
        }
    }
}

/// Returns `true` if each line feed in the text follows a carriage return.
fn has_crlf_only(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, byte)| *byte != b'\n' || text[..at].ends_with(b"\r"))
}
