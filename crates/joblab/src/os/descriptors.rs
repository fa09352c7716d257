//! Open files that go through a socket to another process (SCM_RIGHTS of unix(7)).
#![allow(unsafe_code)]

use std::io::{self, ErrorKind, IoSlice};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::half::{MOST_FILES, RECEIVE, SEND};

/// Room for as many files as one message may have and for their header, aligned as that has to be.
type Control = [MaybeUninit<u64>; 140];

/// Files that came with a message. None where they could not be had, since this process has no free
/// descriptors: those that did fit are closed then.
pub(crate) type Received = Option<Vec<OwnedFd>>;

/// Writes to a socket. The files go with the first byte. What the system cannot take now and may take
/// later is [`ErrorKind::WouldBlock`]; then nothing has been written.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[IoSlice<'_>],
    files: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut control: Control = [MaybeUninit::uninit(); 140];
    // SAFETY: all zeros are an empty message.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    // `IoSlice` has the layout of the system's own struct, which is only read here.
    message.msg_iov = bytes.as_ptr().cast_mut().cast();
    message.msg_iovlen = bytes.len() as _;
    if !files.is_empty() {
        let length = size_of_val(files) as u32;
        // SAFETY: these only calculate. There is room for `MOST_FILES`, as the check says.
        let (space, length) = unsafe { (libc::CMSG_SPACE(length), libc::CMSG_LEN(length)) };
        assert!(files.len() <= MOST_FILES && space as usize <= size_of::<Control>());
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = space as _;
        control[..space as usize / size_of::<u64>()].fill(MaybeUninit::zeroed());
        // SAFETY: the first header and its data lie in `control`, which is as long as was just checked.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = length as _;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (place, file) in files.iter().enumerate() {
                data.add(place).write_unaligned(file.as_raw_fd());
            }
        }
    }
    loop {
        // SAFETY: `message` points to `bytes` and `control`, which live as long as this call.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, SEND) };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // Full buffers, as some systems say it, or more files on their way than a user may have.
            Some(libc::EMSGSIZE | libc::ENOBUFS | libc::ETOOMANYREFS) => {
                return Err(ErrorKind::WouldBlock.into());
            }
            _ => return Err(error),
        }
    }
}

/// Reads from a socket: how many bytes, and the files of the one message in them that had some. Where
/// nothing is there yet and it does not wait, [`ErrorKind::WouldBlock`].
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    waits: bool,
) -> io::Result<(usize, Option<Received>)> {
    let mut control: Control = [MaybeUninit::uninit(); 140];
    let mut bytes = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zeros are an empty message.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = RECEIVE | if waits { 0 } else { libc::MSG_DONTWAIT };
    // SAFETY: `message` points to `buffer` and `control`, of which it has the lengths.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    let is_cut = message.msg_flags & libc::MSG_CTRUNC != 0;
    let mut files = Vec::new();
    // SAFETY: the system has filled in the headers up to the length that it has put into `message`, and
    // the descriptors in them are new and nobody else's.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(found) = header.as_ref() {
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let whole: usize = found.cmsg_len as _;
                let length = whole - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for place in 0..length / size_of::<RawFd>() {
                    files.push(OwnedFd::from_raw_fd(data.add(place).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    if RECEIVE == 0 {
        // The system cannot be asked for it when they come.
        for file in &files {
            // SAFETY: the call takes plain numbers, and the file is open.
            unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    let received = match (is_cut, files.is_empty()) {
        (true, _) => Some(None),
        (false, true) => None,
        (false, false) => Some(Some(files)),
    };
    Ok((read as usize, received))
}
