"""The Python side of the tests of pipes: nothing but the standard library."""

import json
import os
import socket
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener


def inherited():
    return Connection(int(os.environ["PROCESSION_PIPE_pipe"]))


def echo():
    end = inherited()
    while True:
        try:
            end.send_bytes(end.recv_bytes())
        except EOFError:
            return


def objects():
    end = inherited()
    while True:
        try:
            received = json.loads(end.recv_bytes())
        except EOFError:
            return
        end.send_bytes(json.dumps({"received": received, "again": [received, received]}).encode())


def truncated():
    os.write(int(os.environ["PROCESSION_PIPE_pipe"]), b"\0\0\0\x05hel")


def long_header():
    """The header of more than 0x7fffffff bytes, before a message that has fewer."""
    os.write(int(os.environ["PROCESSION_PIPE_pipe"]), b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x05hello")


def descriptor():
    """Takes a message with a descriptor, and writes to it."""
    pipe = socket.socket(fileno=int(os.environ["PROCESSION_PIPE_pipe"]))
    frame, descriptors, _, _ = socket.recv_fds(pipe, 1024, 4)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    place = json.loads(frame[4:])["output"]
    os.write(descriptors[place], b"from Python")


def client(address, key):
    try:
        end = Client(address, authkey=key)
    except AuthenticationError as error:
        inherited().send_bytes(str(error).encode())
        return
    end.send_bytes(b"hello from Python")
    inherited().send_bytes(end.recv_bytes())


def listener(address, key):
    told = inherited()
    with Listener(address, "AF_UNIX", authkey=key) as listening:
        told.send_bytes(b"listening")
        try:
            end = listening.accept()
        except AuthenticationError as error:
            told.send_bytes(str(error).encode())
            return
        end.send_bytes(end.recv_bytes().upper())


def main():
    what = sys.argv[1]
    if what in ("client", "listener"):
        address = sys.argv[2]
        address = "\0" + address[1:] if address.startswith("@") else address
        key = sys.argv[3].encode() if len(sys.argv) > 3 else None
        globals()[what](address, key)
    else:
        globals()[what]()


if __name__ == "__main__":
    main()
