//! A client that speaks RESP, written independently of the server.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::common::Server;

pub(crate) fn kv(procs: usize, args: &[&str]) -> Server {
    Server::start(env!("CARGO_BIN_EXE_kv"), procs, args)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(String),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    pub(crate) fn bulk(text: &str) -> Self {
        Self::Bulk(text.into())
    }

    /// Sorts an array.
    pub(crate) fn sort(&mut self) {
        if let Self::Array(replies) = self {
            replies.sort();
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(text) => f.write_str(text),
            Self::Nil => f.write_str("nil"),
            Self::Array(replies) => {
                let replies: Vec<_> = replies.iter().map(Self::to_string).collect();
                write!(f, "[{}]", replies.join(", "))
            }
        }
    }
}

/// Returns a request as bytes.
pub(crate) fn encode(words: &[impl AsRef<str>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    bytes
}

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(server: &Server) -> Self {
        Self::new_on(server.connect())
    }

    pub(crate) fn new_on(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn call(&mut self, words: &[&str]) -> Reply {
        self.send(&encode(words));
        self.reply()
    }

    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().expect("the server closed the connection")
    }

    /// Returns the next reply, or `None` if the connection ends before or within it.
    pub(crate) fn try_reply(&mut self) -> Option<Reply> {
        let mut line = Vec::new();
        // A reset counts as the end; a timeout does not.
        match self.stream.read_until(b'\n', &mut line) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no reply"),
            _ => {}
        }
        let line = String::from_utf8(line).unwrap();
        let line = line.strip_suffix("\r\n")?;
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().unwrap();
        Some(match kind {
            "+" => Reply::Simple(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(number()),
            "$" | "*" if number() == -1 => Reply::Nil,
            "$" => {
                let mut text = vec![0; number() as usize + 2];
                self.stream.read_exact(&mut text).ok()?;
                assert_eq!(text.split_off(text.len() - 2), b"\r\n");
                Reply::Bulk(String::from_utf8(text).unwrap())
            }
            "*" => Reply::Array((0..number()).map(|_| self.try_reply()).collect::<Option<_>>()?),
            other => panic!("a reply cannot begin with {other:?}"),
        })
    }
}
