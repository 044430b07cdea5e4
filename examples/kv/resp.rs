//! RESP2, the Redis protocol: requests in, replies out.
//!
//! A request is an array of bulk strings (`*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n`), or, for users of
//! `nc`, a line of words (`ECHO hi`), in which quotes hold a word together. Each time more bytes
//! arrive, the parser gets all bytes from the beginning of the request on. It remembers how far it
//! has read, so a value of a megabyte in a thousand pieces is scanned only once. The arguments are
//! not copied: they are ranges of the input.

use std::fmt;
use std::ops::Range;

/// The longest line, which is an inline request or a length, as in Redis.
const MAX_LINE: usize = 64 * 1024;
/// The largest number of arguments of a request, as in Redis.
const MAX_ARGUMENTS: i64 = 1024 * 1024;

/// The limits on the size of a request.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The longest argument.
    pub(crate) bulk: usize,
}

impl Limits {
    /// Returns the limit for all arguments together; Redis has 1 GB where a single argument may
    /// have 512 MB.
    fn request(self) -> usize {
        self.bulk.saturating_mul(2).saturating_add(16 * 1024 * 1024)
    }
}

/// The reason that the bytes are not a request. The bytes that follow cannot be interpreted, so the
/// connection has to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    CountLine,
    Count,
    LengthLine,
    Length,
    NoDollar(u8),
    Unterminated,
    InlineLine,
    Quotes,
    TooLarge,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            Self::CountLine => f.write_str("too big mbulk count string"),
            Self::Count => f.write_str("invalid multibulk length"),
            Self::LengthLine => f.write_str("too big bulk count string"),
            Self::Length => f.write_str("invalid bulk length"),
            Self::NoDollar(byte) => write!(f, "expected '$', got '{}'", byte.escape_ascii()),
            Self::Unterminated => f.write_str("no CRLF after bulk"),
            Self::InlineLine => f.write_str("too big inline request"),
            Self::Quotes => f.write_str("unbalanced quotes in request"),
            Self::TooLarge => f.write_str("too big request"),
        }
    }
}

/// The arguments of a request; the first one is the name of the command.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    bytes: &'a [u8],
    arguments: &'a [Range<usize>],
}

impl<'a> Request<'a> {
    pub(crate) fn len(self) -> usize {
        self.arguments.len()
    }

    /// Returns the argument at `index`, which must exist.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        &self.bytes[self.arguments[index].clone()]
    }

    /// Returns the arguments from `first` on, or none if there are fewer.
    pub(crate) fn from(self, first: usize) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.arguments.iter().skip(first).map(move |range| &self.bytes[range.clone()])
    }
}

/// Finds the requests in a stream of bytes.
#[derive(Default)]
pub(crate) struct Parser {
    arguments: Vec<Range<usize>>,
    /// The number of arguments, once the first line is known.
    count: Option<usize>,
    /// The length of the argument that is currently being parsed.
    length: Option<usize>,
    /// The number of bytes that have been parsed.
    at: usize,
    /// The words of an inline request without their quotes; the ranges refer to them instead of the
    /// input.
    unquoted: Vec<u8>,
    inline: bool,
}

impl Parser {
    /// Looks for a request at the beginning of `input`, and returns its length. Then
    /// [`request`](Self::request) returns the request, and [`clear`](Self::clear) prepares for the
    /// next one. `None` means that the request is not complete: call again with these bytes and
    /// some more. A request may be empty; an empty request has no reply.
    pub(crate) fn parse(&mut self, input: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
        let Some(count) = self.count else {
            return match input.first() {
                None => Ok(None),
                Some(b'*') => match number(input, 1, Malformed::CountLine)? {
                    None => Ok(None),
                    Some((count, next)) => {
                        let count = count.filter(|&count| count <= MAX_ARGUMENTS).ok_or(Malformed::Count)?;
                        self.count = Some(usize::try_from(count).unwrap_or(0));
                        self.at = next;
                        self.parse(input, limits)
                    }
                },
                Some(_) => self.parse_inline(input),
            };
        };
        while self.arguments.len() < count {
            let length = match self.length {
                Some(length) => length,
                None => match self.parse_length(input, limits)? {
                    Some(length) => length,
                    None => return Ok(None),
                },
            };
            let end = self.at + length;
            let Some(terminator) = input.get(end..end + 2) else { return Ok(None) };
            if terminator != b"\r\n" {
                return Err(Malformed::Unterminated);
            }
            self.arguments.push(self.at..end);
            self.length = None;
            self.at = end + 2;
        }
        Ok(Some(self.at))
    }

    fn parse_length(&mut self, input: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
        match input.get(self.at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(Malformed::NoDollar(other)),
        }
        let Some((length, next)) = number(input, self.at + 1, Malformed::LengthLine)? else { return Ok(None) };
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|&length| length <= limits.bulk).ok_or(Malformed::Length)?;
        if next + length > limits.request() {
            return Err(Malformed::TooLarge);
        }
        self.at = next;
        self.length = Some(length);
        Ok(Some(length))
    }

    fn parse_inline(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some(end) = input.iter().take(MAX_LINE).position(|&byte| byte == b'\n') else {
            return if input.len() < MAX_LINE { Ok(None) } else { Err(Malformed::InlineLine) };
        };
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        self.inline = true;
        let mut rest = line;
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return Ok(Some(end + 1));
            }
            let begin = self.unquoted.len();
            rest = unquote(rest, &mut self.unquoted).ok_or(Malformed::Quotes)?;
            self.arguments.push(begin..self.unquoted.len());
        }
    }

    /// Returns the request that was found in `input`.
    pub(crate) fn request<'a>(&'a self, input: &'a [u8]) -> Request<'a> {
        Request { bytes: if self.inline { &self.unquoted } else { input }, arguments: &self.arguments }
    }

    /// Forgets the request, and keeps the memory unless it was a large one.
    pub(crate) fn clear(&mut self) {
        self.arguments.clear();
        self.arguments.shrink_to(64);
        self.unquoted.clear();
        self.unquoted.shrink_to(1024);
        (self.count, self.length, self.at, self.inline) = (None, None, 0, false);
    }
}

/// Parses the number from `at` to the end of the line, and returns it with the position where the
/// next line begins. Returns `None` if the line has no end yet, and `Some((None, _))` if the line
/// is not a number.
fn number(input: &[u8], at: usize, too_long: Malformed) -> Result<Option<(Option<i64>, usize)>, Malformed> {
    let line = &input[at..];
    match line.iter().take(MAX_LINE).position(|&byte| byte == b'\r') {
        Some(end) => Ok(line.get(end + 1).map(|&next| (integer(&line[..end]).filter(|_| next == b'\n'), at + end + 2))),
        None if line.len() < MAX_LINE => Ok(None),
        None => Err(too_long),
    }
}

/// Appends the first word of `line` to `word`, and returns the rest of the line, or `None` if the
/// quotes do not match.
fn unquote<'a>(line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut quote = None;
    let mut rest = line;
    loop {
        let (&byte, next) = match rest.split_first() {
            Some(split) => split,
            None => return quote.is_none().then_some(rest),
        };
        rest = next;
        match (quote, byte) {
            (None, byte) if byte.is_ascii_whitespace() => return Some(rest),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => {
                return rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest);
            }
            (Some(b'"'), b'\\') => rest = unescape(rest, word)?,
            (Some(b'\''), b'\\') if rest.first() == Some(&b'\'') => {
                word.push(b'\'');
                rest = &rest[1..];
            }
            (_, byte) => word.push(byte),
        }
    }
}

/// Parses the escape that follows a backslash within double quotes.
fn unescape<'a>(rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    if let [b'x', high, low, tail @ ..] = rest
        && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
    {
        word.push((high * 16 + low) as u8);
        return Some(tail);
    }
    let (&byte, tail) = rest.split_first()?;
    word.push(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    });
    Some(tail)
}

/// Parses a decimal number as Redis writes it: no plus sign, no spaces, no leading zeros.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let well_formed = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !well_formed {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Returns the digits of a number.
pub(crate) fn decimal(number: i64) -> Vec<u8> {
    let mut digits = Vec::new();
    push_decimal(&mut digits, number);
    digits
}

fn push_decimal(bytes: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        bytes.push(b'-');
    }
    bytes.extend_from_slice(&digits[at..]);
}

/// Replies that are waiting to be sent.
#[derive(Default)]
pub(crate) struct Replies {
    pub(crate) bytes: Vec<u8>,
}

impl Replies {
    fn line(&mut self, kind: u8, number: i64) {
        self.bytes.push(kind);
        push_decimal(&mut self.bytes, number);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Appends a status: text without line ends.
    pub(crate) fn simple(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Appends an error. Line ends in the error become spaces, because it may quote the client's
    /// bytes.
    pub(crate) fn error(&mut self, error: &dyn fmt::Display) {
        self.bytes.push(b'-');
        let text = error.to_string().replace(['\r', '\n'], " ");
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.line(b':', number);
    }

    pub(crate) fn count(&mut self, number: usize) {
        self.integer(number as i64);
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.line(b'$', bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(b"$-1\r\n");
    }

    pub(crate) fn null_array(&mut self) {
        self.bytes.extend_from_slice(b"*-1\r\n");
    }

    /// Appends a bulk string, or null.
    pub(crate) fn maybe(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Appends the head of an array: `len` replies follow.
    pub(crate) fn array(&mut self, len: usize) {
        self.line(b'*', len as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bulk: 1000 };

    /// Returns all requests in `pieces`, as a connection finds them: the rest of each piece is
    /// passed again with the next piece.
    fn requests(pieces: &[&[u8]]) -> Result<Vec<Vec<Vec<u8>>>, Malformed> {
        let (mut parser, mut input, mut found) = (Parser::default(), Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(length) = parser.parse(&input, LIMITS)? {
                found.push(parser.request(&input).from(0).map(<[u8]>::to_vec).collect());
                parser.clear();
                input.drain(..length);
            }
        }
        assert!(input.is_empty(), "left over: {input:?}");
        Ok(found)
    }

    #[test]
    fn split_requests_parse_the_same() {
        let bytes = b"*2\r\n$4\r\nECHO\r\n$5\r\na\r\nb\n\r\n*0\r\nPING \"x y\"\r\n\r\n*1\r\n$0\r\n\r\nlast\n";
        let whole = requests(&[bytes]).unwrap();
        let expected: [&[&[u8]]; 6] = [&[b"ECHO", b"a\r\nb\n"], &[], &[b"PING", b"x y"], &[], &[b""], &[b"last"]];
        assert_eq!(whole, expected.map(|words| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>()));
        for first in 0..bytes.len() {
            for second in first..bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(requests(&pieces).unwrap(), whole, "{first}, {second}");
            }
        }
    }

    #[test]
    fn numbers_are_strict() {
        let good: [(&[u8], i64); 5] = [
            (b"0", 0),
            (b"-1", -1),
            (b"10", 10),
            (b"9223372036854775807", i64::MAX),
            (b"-9223372036854775808", i64::MIN),
        ];
        for (text, number) in good {
            assert_eq!(integer(text), Some(number));
            assert_eq!(decimal(number), text);
        }
        for text in ["", "-", "-0", "01", "+1", " 1", "1 ", "1.0", "9223372036854775808", "x"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn arguments_have_a_limit_in_total() {
        let argument = [b"$1000\r\n".as_slice(), &[b'x'; 1000], b"\r\n"].concat();
        let bytes = [b"*20000\r\n".as_slice(), &argument.repeat(20_000)].concat();
        assert_eq!(requests(&[&bytes]), Err(Malformed::TooLarge));
    }
}
