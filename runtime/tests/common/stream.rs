//! A socket on the scheduler's own interface, for tests of the netpoller.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use greenthread_scheduler::{Descriptor, Direction, Ended, WaitReason};

/// A socket as `net` builds it: an operation is tried first, and waits if it would block.
///
/// The descriptor is dropped before the socket closes.
pub struct Stream {
    pub io: Descriptor,
    pub socket: UnixStream,
}

impl Stream {
    pub fn new(socket: UnixStream) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { io: Descriptor::register(socket.as_fd()).unwrap(), socket }
    }

    pub fn pair() -> (Self, Self) {
        let (a, b) = UnixStream::pair().unwrap();
        (Self::new(a), Self::new(b))
    }

    fn run(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Result<usize, Ended> {
        self.io.prepare(direction)?;
        loop {
            match operation(&self.socket) {
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.io.wait(direction, WaitReason::IoWait)?,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Ended> {
        self.run(Direction::Read, |mut socket| socket.read(bytes))
    }

    pub fn write(&self, bytes: &[u8]) -> Result<usize, Ended> {
        self.run(Direction::Write, |mut socket| socket.write(bytes))
    }

    pub fn get(&self) -> Result<u8, Ended> {
        let mut byte = [0];
        assert_eq!(self.read(&mut byte)?, 1, "the peer has hung up");
        Ok(byte[0])
    }

    pub fn put(&self, byte: u8) {
        assert_eq!(self.write(&[byte]), Ok(1));
    }

    /// Sends back everything it reads until the peer hangs up.
    pub fn echo(&self) {
        let mut bytes = [0; 64];
        loop {
            match self.read(&mut bytes).unwrap() {
                0 => return,
                n => assert_eq!(self.write(&bytes[..n]), Ok(n)),
            }
        }
    }

    pub fn round_trip(&self, byte: u8) {
        self.put(byte);
        assert_eq!(self.get(), Ok(byte));
    }

    pub fn deadline(&self, after: Duration) {
        self.io.set_deadline(Direction::Read, Some(Instant::now() + after)).unwrap();
    }
}

/// A short delay.
pub const SHORT: Duration = Duration::from_millis(5);
/// Longer than any test.
pub const LONG: Duration = Duration::from_secs(3600);
