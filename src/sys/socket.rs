//! `AF_UNIX` stream sockets: pairs, sends that never raise `SIGPIPE`, and descriptors that travel.
//!
//! Every descriptor made or received here is close-on-exec from its first moment (H8). None is switched to
//! non-blocking mode: the flag lives on the shared file description, so that a foreign child would inherit it
//! (H12). Whoever must not block says so for each call with [`Wait::No`].

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{self, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sockopt};

use super::room::Room;

/// What the kernel lets through in one message (`SCM_MAX_FD`); one more is `EINVAL` (H14).
pub const MAX_DESCRIPTORS: usize = 253;

/// Whether a call may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until something can be done.
    Yes,
    /// Not at all: [`io::ErrorKind::WouldBlock`] instead.
    No,
}

impl Wait {
    fn flags(self) -> MsgFlags {
        match self {
            Wait::Yes => MsgFlags::empty(),
            Wait::No => MsgFlags::MSG_DONTWAIT,
        }
    }
}

/// A duplex pipe: two connected stream sockets, both close-on-exec and blocking.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socket::socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?)
}

/// What [`set_send_buffer`] would have to be given for what is now so.
pub fn send_buffer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(socket::getsockopt(&socket, sockopt::SndBuf)? / 2)
}

/// Asks the kernel to hold so many bytes of what is written to this end. It takes twice as much, for its own
/// bookkeeping, and at least some 4 KiB.
pub fn set_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(socket::setsockopt(&socket, sockopt::SndBuf, &bytes)?)
}

/// Writes what fits of `bytes`, and says how much that was. Interruptions do not show.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], wait: Wait) -> io::Result<usize> {
    retry(|| socket::send(socket.as_raw_fd(), bytes, wait.flags() | MsgFlags::MSG_NOSIGNAL))
}

/// As [`send`], with descriptors that arrive with the first of the bytes.
///
/// If this returns a number, all descriptors went with it; if it fails, none did.
///
/// # Errors
/// `InvalidInput` for no bytes or more than [`MAX_DESCRIPTORS`] descriptors.
pub fn send_with_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<usize> {
    if descriptors.is_empty() {
        return send(socket, bytes, wait);
    }
    send_parts(socket, &[IoSlice::new(bytes)], descriptors, wait)
}

/// As [`send_with_descriptors`], gathering the bytes from several places.
///
/// # Errors
/// `InvalidInput` for descriptors without bytes, or for more than [`MAX_DESCRIPTORS`] of them.
pub fn send_parts(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<usize> {
    let flags = wait.flags() | MsgFlags::MSG_NOSIGNAL;
    if descriptors.is_empty() {
        return retry(|| socket::sendmsg::<()>(socket.as_raw_fd(), parts, &[], flags, None));
    }
    if parts.iter().all(|part| part.is_empty()) || descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "descriptors travel with at least one byte, and at most 253 at once",
        ));
    }
    let raw: Vec<RawFd> = descriptors.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    retry(|| socket::sendmsg::<()>(socket.as_raw_fd(), parts, &rights, flags, None))
}

/// Reads what is there into `buffer`; 0 is end-of-file. Descriptors that come along are closed by the kernel.
pub fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    retry(|| socket::recv(socket.as_raw_fd(), buffer, wait.flags()))
}

/// Looks at what is there without taking it; 0 is end-of-file.
pub fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
    retry(|| socket::recv(socket.as_raw_fd(), buffer, wait.flags() | MsgFlags::MSG_PEEK))
}

/// What [`recv_with_descriptors`] found.
#[derive(Debug)]
pub struct Received {
    /// How many bytes; 0 is end-of-file.
    pub bytes: usize,
    /// The descriptors that came with them, close-on-exec, in the order sent.
    pub descriptors: Vec<OwnedFd>,
    /// Whether the kernel had to drop some, because there were more than the room given or this process has
    /// no free ones. Those that did arrive are in `descriptors`.
    pub truncated: bool,
}

/// Reads bytes and at most `room` descriptors.
pub fn recv_with_descriptors(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    room: usize,
    wait: Wait,
) -> io::Result<Received> {
    // The kernel takes no bytes for an empty buffer, but descriptors.
    recv_raw(socket, &mut [Room::Fill(buffer), Room::none()], room, wait)
}

/// As [`recv_with_descriptors`], into the first room and, when that is full, the second: a header and its
/// body go to two places with one call, and a buffer of a mebibyte is not filled with zeroes before it is
/// filled with a message.
///
/// No room at all is `InvalidInput`, because the kernel's answer to it would look like end-of-file.
pub fn recv_into(
    socket: BorrowedFd<'_>,
    rooms: &mut [Room<'_>; 2],
    room: usize,
    wait: Wait,
) -> io::Result<Received> {
    if rooms.iter().all(|room| room.bytes() == 0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into"));
    }
    recv_raw(socket, rooms, room, wait)
}

/// One `recvmsg`.
///
/// The system call is made by hand, because nix wants initialised bytes, and loses (and so leaks) the
/// descriptors that did arrive when the kernel truncates the others.
#[allow(unsafe_code)]
fn recv_raw(
    socket: BorrowedFd<'_>,
    rooms: &mut [Room<'_>; 2],
    room: usize,
    wait: Wait,
) -> io::Result<Received> {
    let room = u32::try_from(room.min(MAX_DESCRIPTORS)).unwrap_or(0);
    // SAFETY: CMSG_SPACE only computes with its argument.
    let space = unsafe { libc::CMSG_SPACE(room * DESCRIPTOR_BYTES) } as usize;
    // u64, so that the buffer is aligned for cmsghdr; on the stack, because this is called for every message.
    let mut control = [const { MaybeUninit::<u64>::uninit() }; CONTROL_WORDS];
    let [first, second] = rooms;
    let mut slices = [first, second].map(|room| {
        let (start, length) = room.raw();
        libc::iovec { iov_base: start.cast(), iov_len: length }
    });
    let first_bytes = slices[0].iov_len;
    // SAFETY: msghdr is plain data for which all zeroes mean "nothing".
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = slices.as_mut_ptr();
    header.msg_iovlen = if slices[1].iov_len == 0 { 1 } else { 2 };
    if room > 0 {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = space.min(size_of_val(&control));
    }
    let flags = (wait.flags() | MsgFlags::MSG_CMSG_CLOEXEC).bits();
    let bytes = retry(|| {
        // SAFETY: the header points to `slices`, which point to what two rooms lend, exclusively and for as
        // long as they are borrowed here, and to `control`; all outlive the call, and their lengths are the
        // ones written in the header. The kernel only writes to them, so they need not be initialised.
        let bytes = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        nix::errno::Errno::result(bytes)
    })?;
    let bytes = bytes.unsigned_abs();
    let in_first = bytes.min(first_bytes);
    // SAFETY: the kernel has just written that many bytes: the first room's until it was full, and then the
    // second's, neither of which has changed since.
    unsafe {
        rooms[0].advance(in_first);
        rooms[1].advance(bytes - in_first);
    }
    let truncated = header.msg_flags & libc::MSG_CTRUNC != 0;
    Ok(Received { bytes, descriptors: descriptors_of(&header), truncated })
}

/// Room for the control part of [`MAX_DESCRIPTORS`] descriptors: a header of 16 bytes and 4 bytes for each.
const CONTROL_WORDS: usize = 2 + MAX_DESCRIPTORS.div_ceil(2);

const DESCRIPTOR_BYTES: u32 = 4;

/// Takes every descriptor out of a message that recvmsg has just filled.
#[allow(unsafe_code)]
fn descriptors_of(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    if header.msg_control.is_null() || header.msg_controllen == 0 {
        return descriptors;
    }
    // SAFETY: the caller's header was filled by recvmsg, its control buffer is alive and aligned, and
    // msg_controllen is what the kernel wrote; the CMSG functions walk within it, so that nothing is read
    // that the kernel has not initialised. Each number in an SCM_RIGHTS part was opened by the kernel for
    // this call alone, so adopting it once makes us its only owner. The numbers need not be aligned, hence
    // read_unaligned.
    unsafe {
        let mut part = libc::CMSG_FIRSTHDR(header);
        while !part.is_null() {
            if (*part).cmsg_level == libc::SOL_SOCKET && (*part).cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(part).cast::<RawFd>();
                let length = (*part).cmsg_len - libc::CMSG_LEN(0) as usize;
                for index in 0..length / size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            part = libc::CMSG_NXTHDR(header, part);
        }
    }
    descriptors
}

/// Sets the kernel's send and receive buffers of one end, for tests of full pipes; the kernel has a minimum.
pub fn set_buffers(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    socket::setsockopt(&socket, sockopt::SndBuf, &bytes)?;
    socket::setsockopt(&socket, sockopt::RcvBuf, &bytes)?;
    Ok(())
}

/// Ends the outgoing direction: the peer reads what was sent, then end-of-file.
pub fn shutdown_write(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(socket::shutdown(socket.as_raw_fd(), socket::Shutdown::Write)?)
}

/// Whether this error means that nobody reads or writes the other end any more (H9).
pub fn is_peer_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn h08_pairs_and_travelling_descriptors_are_close_on_exec() {
        let (left, right) = pair().expect("pair");
        let (passed, _other) = pair().expect("pair");
        send_with_descriptors(left.as_fd(), b"x", &[passed.as_fd()], Wait::Yes).expect("send");
        let mut buffer = [0; 8];
        let got = recv_with_descriptors(right.as_fd(), &mut buffer, 4, Wait::Yes).expect("recv");
        assert_eq!((got.bytes, got.descriptors.len(), got.truncated), (1, 1, false));
        for fd in [&left, &right, &got.descriptors[0]] {
            let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).expect("flags");
            assert_ne!(flags & nix::libc::FD_CLOEXEC, 0);
        }
    }

    #[test]
    fn h14_253_descriptors_pass_254_are_refused_and_truncation_shows() {
        let (left, right) = pair().expect("pair");
        let many: Vec<_> = (0..254).map(|_| left.as_fd()).collect();
        let error = send_with_descriptors(left.as_fd(), b"x", &many, Wait::Yes).expect_err("254");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        send_with_descriptors(left.as_fd(), b"x", &many[..253], Wait::Yes).expect("253");
        let mut buffer = [0; 8];
        let got = recv_with_descriptors(right.as_fd(), &mut buffer, 253, Wait::Yes).expect("recv");
        assert_eq!((got.descriptors.len(), got.truncated), (253, false));
        send_with_descriptors(left.as_fd(), b"x", &many[..9], Wait::Yes).expect("9");
        let got = recv_with_descriptors(right.as_fd(), &mut buffer, 1, Wait::Yes).expect("recv");
        assert!(got.truncated);
        assert!(got.descriptors.len() <= 2, "alignment may let one more through");
    }

    #[test]
    fn one_call_fills_two_rooms_one_after_the_other() {
        let (left, right) = pair().expect("pair");
        let (mut head, mut body) = (Vec::with_capacity(16), [9; 6]);
        for (bytes, in_head, in_body) in
            [(&b"abc"[..], &b"abc"[..], &[9; 6]), (b"defgh", b"abcdefg", b"h\x09\x09\x09\x09\x09")]
        {
            send(left.as_fd(), bytes, Wait::Yes).expect("send");
            let mut rooms = [Room::Append(&mut head, 4), Room::Fill(&mut body)];
            let got = recv_into(right.as_fd(), &mut rooms, 0, Wait::Yes).expect("recv");
            assert_eq!(got.bytes, bytes.len());
            assert_eq!((head.as_slice(), &body), (in_head, in_body));
        }
        // A first room that is full is passed over; none at all is refused, since 0 bytes mean end-of-file.
        send(left.as_fd(), b"xy", Wait::Yes).expect("send");
        let mut none = [Room::Append(&mut head, 0), Room::none()];
        let error = recv_into(right.as_fd(), &mut none, 0, Wait::Yes).expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let mut rooms = [Room::Append(&mut head, 0), Room::Append(&mut Vec::with_capacity(2), 2)];
        assert_eq!(recv_into(right.as_fd(), &mut rooms, 0, Wait::Yes).expect("recv").bytes, 2);
    }

    #[test]
    fn h13_a_send_to_nobody_is_an_error_and_no_signal() {
        let (left, right) = pair().expect("pair");
        drop(right);
        let error = send(left.as_fd(), b"x", Wait::Yes).expect_err("nobody reads");
        assert!(is_peer_gone(&error));
    }

    /// Runs a blocking call in a thread, interrupts it ten times while it sleeps, and then lets it go on.
    #[allow(unsafe_code)]
    fn interrupted<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static, go_on: impl FnOnce()) -> R {
        use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

        extern "C" fn nothing(_: i32) {}
        // Without SA_RESTART, so that the kernel does not hide the interruption.
        let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, which is async-signal-safe, and no other test uses this signal.
        unsafe { sigaction(Signal::SIGUSR2, &action) }.expect("sigaction");
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid()).expect("tell");
            call()
        });
        let tid = told.recv().expect("told");
        for _ in 0..10 {
            // The call is the only thing that the thread can sleep in.
            while !std::fs::read_to_string(format!("/proc/self/task/{tid}/stat"))
                .expect("the thread lives")
                .rsplit_once(") ")
                .is_some_and(|(_, state)| state.starts_with('S'))
            {
                std::thread::yield_now();
            }
            // SAFETY: a system call with three numbers; the thread is one of this process, and has a handler.
            let killed = unsafe { libc::tgkill(nix::unistd::getpid().as_raw(), tid.as_raw(), libc::SIGUSR2) };
            assert_eq!(killed, 0);
        }
        go_on();
        thread.join().expect("join")
    }

    #[test]
    fn interruptions_of_a_receive_do_not_show() {
        let (left, right) = pair().expect("pair");
        let receive = move || {
            let mut buffer = Vec::with_capacity(8);
            let mut rooms = [Room::Append(&mut buffer, 8), Room::none()];
            recv_into(right.as_fd(), &mut rooms, 0, Wait::Yes).map(|_| buffer)
        };
        let received = interrupted(receive, || {
            send(left.as_fd(), b"x", Wait::Yes).expect("send");
        });
        assert_eq!(received.expect("receive"), b"x");
    }

    #[test]
    fn interruptions_of_a_send_do_not_show() {
        let (left, right) = pair().expect("pair");
        while send(left.as_fd(), &[0; 4096], Wait::No).is_ok() {}
        let sent = interrupted(
            move || send_parts(left.as_fd(), &[IoSlice::new(b"x")], &[], Wait::Yes),
            || {
                let mut buffer = vec![0; 1 << 20];
                recv(right.as_fd(), &mut buffer, Wait::Yes).expect("receive");
            },
        );
        assert_eq!(sent.expect("send"), 1);
    }
}
