"""Round trips and a stream over multiprocessing.Pipe with a spawned child; prints the seconds of each.

Small messages are objects, as a user of pipes sends them; from 64 KiB on bytes, which is Python's best.
"""

import multiprocessing
import os
import sys
import time


def child(end, size, echoes, swallows, core):
    os.sched_setaffinity(0, {core})
    if size < 65536:
        send, recv = end.send, end.recv
    else:
        send, recv = end.send_bytes, end.recv_bytes
    for _ in range(echoes):
        send(recv())
    for _ in range(swallows):
        recv()
    end.send("done")


def main():
    size, echoes, swallows, core = map(int, sys.argv[1:])
    context = multiprocessing.get_context("spawn")
    end, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs, size, echoes, swallows, core))
    process.start()
    theirs.close()
    if size < 65536:
        send, recv = end.send, end.recv
    else:
        send, recv = end.send_bytes, end.recv_bytes
    message = b"\x07" * size
    times = []
    for _ in range(echoes):
        before = time.perf_counter()
        send(message)
        recv()
        times.append(time.perf_counter() - before)
    times.sort()
    before = time.perf_counter()
    for _ in range(swallows):
        send(message)
    end.recv()
    print(times[len(times) // 2], time.perf_counter() - before)
    process.join()


if __name__ == "__main__":
    main()
