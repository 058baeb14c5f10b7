"""Python's multiprocessing with a spawned child; prints one reading as JSON.

Arguments: the task, its seconds, how many messages or processes, the cores of both ends (-1 for any).
"""

import json
import multiprocessing
import os
import sys
import time

MESSAGE = b"\x01" * 64
PAYLOAD = b"\x01" * (1 << 20)


def pin(core):
    if core >= 0:
        os.sched_setaffinity(0, {core})


def child(end, task, count, core):
    pin(core)
    try:
        while True:
            if task in ("Tell", "Payload"):
                for _ in range(count):
                    end.recv_bytes()
                end.send_bytes(b"")
            else:
                end.send_bytes(end.recv_bytes())
    except EOFError:
        pass


def start(context, task, count, core):
    end, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs, task, count, core), daemon=True)
    process.start()
    theirs.close()
    return end, process


def ask(end):
    end.send_bytes(MESSAGE)
    end.recv_bytes()


def middle(times):
    times.sort()
    return times[len(times) // 2]


def measured(what, seconds):
    """The times of as many as there is time for, after a few to get warm."""
    for _ in range(3):
        what()
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < seconds:
        before = time.perf_counter()
        what()
        times.append(time.perf_counter() - before)
    return middle(times)


def lives(context, count, kills):
    times = []
    for _ in range(count):
        before = time.perf_counter()
        end, process = start(context, "Ask", 0, -1)
        ask(end)
        if kills:
            before = time.perf_counter()
            process.kill()
            process.join()
            end, process = start(context, "Ask", 0, -1)
            ask(end)
        times.append(time.perf_counter() - before)
        process.kill()
        process.join()
    return middle(times) * 1e3


def main():
    task, seconds, count, near, far = sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:])
    context = multiprocessing.get_context("spawn")
    if task in ("Spawn", "Restart"):
        value = lives(context, count, task == "Restart")
    else:
        end, process = start(context, task, count, far)
        pin(near)
        if task == "Ask":
            value = measured(lambda: ask(end), seconds) * 1e6
        else:
            message = MESSAGE if task == "Tell" else PAYLOAD

            def batch():
                for _ in range(count):
                    end.send_bytes(message)
                end.recv_bytes()

            rate = count / measured(batch, seconds)
            value = rate / 1e6 if task == "Tell" else rate * len(message) / (1 << 30)
        process.kill()
        process.join()
    print(json.dumps({"value": value}))


if __name__ == "__main__":
    main()
