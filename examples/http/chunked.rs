//! A chunked body, taken apart as it comes in. No I/O: the caller has the bytes.
//!
//! Strict where a proxy in front might read the same bytes in another way (request smuggling): a size has a digit, and
//! every line ends with CR and LF and holds no other line feed, be it the line of a size, of a trailer, or the empty one
//! at the end. `httparse` lets all of that pass.

use httparse::{EMPTY_HEADER, Status, parse_chunk_size, parse_headers};

/// The longest line with a size, extension and all.
const MAX_SIZE_LINE: usize = 256;

/// How many fields the trailer section may have.
const MAX_TRAILERS: usize = 32;

const CRLF: &[u8] = b"\r\n";

/// Where in the body we are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chunked {
    /// Before the line with a size.
    Size,
    /// So many bytes of the chunk are to come.
    Data(u64),
    /// Before the end of the line that ends a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
}

/// What stands at the front of the input.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// A part of the body.
    Data(&'a [u8]),
    /// So many bytes between the parts.
    Framing(usize),
    /// The last bytes of all, so many.
    End(usize),
    /// Not enough to tell.
    Partial,
}

/// The bytes are no chunked body.
#[derive(Debug)]
pub(crate) struct Malformed;

impl Chunked {
    /// What stands at the front of `input`. The caller takes it off, and asks again.
    ///
    /// Trailers are only complete when all of them are in `input`: the caller limits how long it may get.
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

/// Whether each line feed in the text follows a carriage return.
fn has_crlf_only(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(at, byte)| *byte != b'\n' || text[..at].ends_with(b"\r"))
}
