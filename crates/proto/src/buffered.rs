//! A connection that is read in as few system calls as possible.

use std::io::{self, Read, Write};
use std::ops::Range;

use zeroize::Zeroizing;

/// Bytes read at once. Most messages fit, and messages that arrive together are read together.
pub(crate) const READ_AHEAD: usize = 512;

/// Reads what has arrived, not only what is asked for, and keeps the rest for the next read.
#[derive(Debug)]
pub(crate) struct BufferedStream<S> {
    stream: S,
    /// What was read last; it may hold a key or a code.
    buffer: Zeroizing<[u8; READ_AHEAD]>,
    /// The part of `buffer` that is still to be given out.
    unread: Range<usize>,
}

impl<S> BufferedStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Zeroizing::new([0; READ_AHEAD]),
            unread: 0..0,
        }
    }

    pub(crate) const fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: Read> Read for BufferedStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.unread = 0..self.stream.read(&mut *self.buffer)?;
        }
        let taken = self
            .buffer
            .get(self.unread.clone())
            .unwrap_or_default()
            .read(buffer)?;
        self.unread.start += taken;
        Ok(taken)
    }
}

impl<S: Write> Write for BufferedStream<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
