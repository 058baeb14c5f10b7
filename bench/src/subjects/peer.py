"""Python's multiprocessing with a spawned child; prints one reading as JSON.

Arguments: the task, its seconds, how many messages or processes, the cores of both ends (-1 for any).
"""

import json
import multiprocessing
import multiprocessing.connection
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


def many(context, count):
    """Children that have answered once."""
    children = [start(context, "Ask", 0, -1) for _ in range(count)]
    for end, _ in children:
        ask(end)
    return children


def down(context, count):
    times = []
    for _ in range(count):
        end, process = start(context, "Ask", 0, -1)
        ask(end)
        before = time.perf_counter()
        process.kill()
        multiprocessing.connection.wait([process.sentinel])
        process.join()
        times.append((time.perf_counter() - before) * 1e3)
    times.sort()
    return {"value": times[len(times) * 99 // 100], "details": {"p50": times[len(times) // 2]}}


def stop(context, count):
    children = many(context, count)
    before = time.perf_counter()
    for _, process in children:
        process.terminate()
    for _, process in children:
        process.join()
    return (time.perf_counter() - before) * 1e3


def be_killed(context, count):
    children = many(context, count)
    print(*(process.pid for _, process in children), flush=True)
    time.sleep(1e6)


def main():
    task, seconds, count, near, far = sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:])
    context = multiprocessing.get_context("spawn")
    if task == "RootKilled":
        return be_killed(context, count)
    if task == "Down":
        return print(json.dumps(down(context, count)))
    if task == "Stop":
        value = stop(context, count)
    elif task in ("Spawn", "Restart"):
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
