//! The async ends.

use std::os::fd::AsFd;
use std::time::Duration;

use procession::pipe::{
    self, AsyncEnd, Descriptor, RecvError, SendError, Settings, TryRecvError, TrySendError,
};
use procession::sys::socket;

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(future)
}

fn ends<Out, In>(settings: Settings) -> (AsyncEnd<Out, In>, AsyncEnd<In, Out>) {
    let (left, right) = pipe::pipe_with(settings).expect("pipe");
    (left.into_async().expect("async"), right.into_async().expect("async"))
}

#[test]
fn objects_go_both_ways_and_end() {
    run(async {
        let (mut left, mut right) = ends::<u32, String>(Settings::new());
        let echo = tokio::spawn(async move {
            while let Some(number) = right.next().await.expect("receive") {
                right.send(number.to_string()).await.expect("send");
            }
        });
        for number in 0..100 {
            left.send(number).await.expect("send");
            assert_eq!(left.recv().await.expect("receive"), number.to_string());
        }
        left.half_close().await.expect("half close");
        assert!(matches!(left.recv().await, Err(RecvError::Closed)));
        echo.await.expect("echo");
    });
}

#[test]
fn h02_two_ends_that_send_the_largest_message_at_once_do_not_lock() {
    run(async {
        let (mut left, mut right) = ends::<(), ()>(Settings::new());
        let largest = vec![7; pipe::DEFAULT_MESSAGE_BYTES];
        let (one, two) = tokio::join!(left.send_bytes(&largest), right.send_bytes(&largest));
        one.expect("left sends");
        two.expect("right sends");
        assert!(left.recv_bytes().await.expect("left receives") == largest);
        assert!(right.recv_bytes().await.expect("right receives") == largest);
    });
}

#[test]
fn h02_halves_pass_floods_through_the_smallest_buffers() {
    run(async {
        let (left, right) = ends::<Vec<u32>, Vec<u32>>(Settings::new());
        socket::set_buffers(left.as_fd(), 1).expect("buffers");
        socket::set_buffers(right.as_fd(), 1).expect("buffers");
        let mut tasks = tokio::task::JoinSet::new();
        for end in [left, right] {
            let (mut sender, mut receiver) = end.split().expect("split");
            tasks.spawn(async move {
                for _ in 0..20 {
                    sender.send((0..20_000).collect()).await.expect("send");
                }
            });
            tasks.spawn(async move {
                let mut received = 0;
                while let Some(numbers) = receiver.next().await.expect("receive") {
                    assert!(numbers.into_iter().eq(0..20_000));
                    received += 1;
                }
                assert_eq!(received, 20);
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn blocking_and_async_ends_are_the_same_pipe_and_turn_into_one_another() {
    let (mut blocking, other) = pipe::pipe::<u8, u8>().expect("pipe");
    for number in 0..4 {
        blocking.send(number).expect("send");
    }
    let other = run(async move {
        let mut other = other.into_async().expect("async");
        assert_eq!(other.recv().await.expect("receive"), 0);
        other.into_blocking()
    });
    let mut other = other;
    assert_eq!(other.recv().expect("what was read ahead stayed"), 1);
    run(async move {
        let mut other = other.into_async().expect("async");
        assert_eq!(other.recv().await.expect("receive"), 2);
        assert_eq!(other.try_recv().expect("receive"), 3);
        assert!(matches!(other.try_recv(), Err(TryRecvError::Empty)));
        other.send(9).await.expect("send");
    });
    assert_eq!(blocking.recv().expect("receive"), 9);
    assert!(blocking.recv().expect_err("end").is_end());
}

#[test]
fn outside_of_a_runtime_an_async_end_is_an_error() {
    let (left, _right) = pipe::pipe::<u8, u8>().expect("pipe");
    assert!(left.into_async().expect_err("no runtime").to_string().contains("tokio runtime"));
}

#[test]
fn h11_a_cancelled_send_leaves_whole_messages_only() {
    run(async {
        let (mut left, mut right) = ends::<Vec<u8>, ()>(Settings::new());
        // Larger than the socket holds: begun, and given up.
        let begun = left.send(vec![1; 1 << 20]);
        assert!(now_or_never(begun).await.is_none());
        // Nothing of this fits, so nothing of it is sent.
        let never = left.send(vec![2; 10]);
        assert!(now_or_never(never).await.is_none());
        assert!(matches!(left.try_send(vec![3; 10]).expect_err("full").error, TrySendError::Full));
        let (sent, received) = tokio::join!(left.send(vec![4; 10]), async {
            let mut received = Vec::new();
            for _ in 0..2 {
                received.push(right.recv().await.expect("receive"));
            }
            received
        });
        sent.expect("send");
        assert_eq!(received, [vec![1; 1 << 20], vec![4; 10]]);
        assert!(matches!(right.try_recv(), Err(TryRecvError::Empty)));
    });
}

#[test]
fn a_cancelled_receive_loses_nothing() {
    run(async {
        let (mut left, mut right) = ends::<Vec<u8>, ()>(Settings::new());
        assert!(now_or_never(right.recv()).await.is_none());
        assert!(now_or_never(left.send(vec![1; 1 << 20])).await.is_none());
        // A part has come.
        assert!(now_or_never(right.recv()).await.is_none());
        assert!(matches!(right.recv_timeout(Duration::from_millis(1)).await, Err(TryRecvError::Empty)));
        let (flushed, received) = tokio::join!(left.flush(), right.recv());
        flushed.expect("flush");
        assert_eq!(received.expect("receive"), vec![1; 1 << 20]);
    });
}

/// Polls a future until it waits for something that does not come by itself.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    tokio::pin!(future);
    for _ in 0..200 {
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
        if let std::task::Poll::Ready(output) = polled {
            return Some(output);
        }
        // Lets the runtime look at its descriptors.
        tokio::task::yield_now().await;
    }
    None
}

#[test]
fn fed_messages_go_together_and_bytes_and_descriptors_go_too() {
    run(async {
        let (mut left, mut right) = ends::<(u32, Option<Descriptor>), ()>(Settings::new());
        let receiving = tokio::spawn(async move {
            for expected in 0..50_000 {
                let (number, descriptor) = right.recv().await.expect("receive");
                assert_eq!((number, descriptor.is_some()), (expected, expected % 10_000 == 5));
            }
            let (bytes, descriptors) = right.recv_bytes_with().await.expect("receive");
            assert_eq!((bytes.len(), descriptors.len()), (100_000, 1));
            right
        });
        let null = || std::fs::File::open("/dev/null").expect("open").into();
        for number in 0..50_000 {
            let descriptor = (number % 10_000 == 5).then(|| Descriptor(null()));
            left.feed((number, descriptor)).await.expect("feed");
        }
        left.send_bytes_with(&[0; 100_000], vec![null()]).await.expect("send");
        let mut right = receiving.await.expect("receiver");
        left.close().await.expect("close");
        assert!(matches!(right.recv().await, Err(RecvError::Closed)));
        assert!(matches!(right.send(()).await.map_err(SendError::from), Err(SendError::PeerGone)));
    });
}

#[test]
fn a_flood_does_not_starve_other_tasks() {
    run(async {
        let (mut sender, receiver) = pipe::simplex::<()>().expect("simplex");
        let mut receiver = receiver.into_async().expect("async");
        let flooding = tokio::task::spawn_blocking(move || while sender.send(()).is_ok() {});
        let other = tokio::spawn(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        while !other.is_finished() {
            receiver.recv().await.expect("receive");
        }
        drop(receiver);
        flooding.await.expect("sender");
    });
}
