//! The socket between a worker process and its parent: bytes, and the files of shared memory.
//!
//! Files come with some byte of the message that they were sent with, or with bytes of one before it:
//! they wait here for the frame that says how many they are ([`Kind::Files`](super::framing::Kind)).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::protocol;
use crate::os::{self, MOST_FILES, Received};
use crate::shared::{Attached, Files};

/// Until the system may take what it could not take before, where no file tells of it.
pub(crate) const CHOKED: Duration = Duration::from_millis(1);

pub(crate) struct Socket {
    stream: UnixStream,
    received: VecDeque<Received>,
}

impl Socket {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Socket { stream, received: VecDeque::new() }
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The files of the [`Kind::Files`](super::framing::Kind::Files) whose body was just read. Those
    /// that could not be had are missing.
    pub(crate) fn take_files(&mut self, body: &[u8]) -> Option<Files> {
        let count = protocol::read_count(body).filter(|count| *count <= MOST_FILES)?;
        let files = self.received.pop_front()?;
        match files {
            Some(files) if files.len() != count => None,
            Some(files) => Some(files.into_iter().map(Some).collect()),
            None => Some((0..count).map(|_| None).collect()),
        }
    }
}

impl Socket {
    /// Reads, where something is there.
    pub(crate) fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, false)
    }

    fn receive(&mut self, buffer: &mut [u8], waits: bool) -> io::Result<usize> {
        let (read, files) = os::receive(self.stream.as_fd(), buffer, waits)?;
        self.received.extend(files);
        Ok(read)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, true)
    }
}

/// The frames that carry a message's shared memory in front of it, and the segments of each.
pub(crate) fn frames_of_files(
    attachments: &[Attached],
) -> impl Iterator<Item = (Vec<u8>, &[Attached])> {
    let frame = |some: &[Attached]| protocol::files(some.len());
    attachments.chunks(MOST_FILES).map(move |some| (frame(some), some))
}

/// Writes a whole frame to a socket that blocks. The files go with it.
pub(crate) fn send_all(
    socket: &UnixStream,
    mut frame: &[u8],
    attachments: &[Attached],
) -> io::Result<()> {
    let files: Vec<BorrowedFd<'_>> =
        attachments.iter().map(|attached| attached.segment.file()).collect();
    let mut files = files.as_slice();
    while !frame.is_empty() {
        match os::send(socket.as_fd(), &[IoSlice::new(frame)], files) {
            Ok(sent) => (frame, files) = (&frame[sent..], &[]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(CHOKED),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::sync::Arc;

    use super::*;
    use crate::backend::remote::framing::{self, Decoder, Kind};
    use crate::shared::Segment;

    fn attached(bytes: usize) -> Attached {
        Attached { segment: Arc::new(Segment::zeroed(bytes).unwrap()), written: Vec::new() }
    }

    fn inode(file: BorrowedFd<'_>) -> u64 {
        File::from(file.try_clone_to_owned().unwrap()).metadata().unwrap().ino()
    }

    #[test]
    fn files_wait_for_the_frame_that_counts_them() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let sent: Vec<Attached> = (0..MOST_FILES + 20).map(|_| attached(8)).collect();
        // In front of and behind the files are frames that have none.
        (&ours).write_all(&framing::frame(Kind::Hello, &[])).unwrap();
        for (frame, some) in frames_of_files(&sent) {
            send_all(&ours, &frame, some).unwrap();
        }
        (&ours).write_all(&framing::frame(Kind::Batch, &[1])).unwrap();
        drop(ours);
        let mut decoder = Decoder::new(Socket::new(theirs));
        let (mut files, mut kinds) = (Vec::new(), Vec::new());
        while let Ok(Some((kind, body))) = decoder.next() {
            kinds.push(kind);
            if kind == Kind::Files {
                files.extend(decoder.get_mut().take_files(&body).unwrap());
            }
        }
        assert_eq!(kinds, [Kind::Hello, Kind::Files, Kind::Files, Kind::Batch]);
        let inodes: Vec<u64> =
            files.iter().map(|file| inode(file.as_ref().unwrap().as_fd())).collect();
        let expected: Vec<u64> =
            sent.iter().map(|attached| inode(attached.segment.file())).collect();
        assert_eq!(inodes, expected);
        assert_ne!(files[0].as_ref().unwrap().as_raw_fd(), sent[0].segment.file().as_raw_fd());
        // More announced than came, and none at all.
        assert!(decoder.get_mut().take_files(&5_u64.to_le_bytes()).is_none());
    }

    #[test]
    fn a_full_socket_takes_nothing_and_loses_nothing() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let memory = attached(8);
        let mut socket = Socket::new(theirs);
        let mut sent = 0;
        // Until the system takes no more.
        while os::send(ours.as_fd(), &[IoSlice::new(&[7])], &[memory.segment.file()]).is_ok() {
            sent += 1;
        }
        let full = os::send(ours.as_fd(), &[IoSlice::new(&[7])], &[memory.segment.file()]);
        assert_eq!(full.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(sent > 10, "{sent}");
        let mut read = 0;
        while let Ok(bytes) = socket.read(&mut [0; 100]) {
            read += bytes;
        }
        assert_eq!((read, socket.received.len()), (sent, sent));
        let file = socket.received.pop_back().unwrap().unwrap().remove(0);
        assert_eq!(inode(file.as_fd()), inode(memory.segment.file()));
    }
}
