"""The challenge of Python 3.12 and later, written from its description, for machines that have an older one only.

Messages are framed by the standard library's Connection; only the conversation is here.
"""

import hmac
import os
import socket
import sys
from multiprocessing.connection import Connection


def ask(end, key, digest="sha256"):
    challenge = b"{" + digest.encode() + b"}" + os.urandom(40)
    end.send_bytes(b"#CHALLENGE#" + challenge)
    name, _, tag = end.recv_bytes(256)[1:].partition(b"}")
    right = name.decode() == digest and hmac.compare_digest(hmac.new(key, challenge, digest).digest(), tag)
    end.send_bytes(b"#WELCOME#" if right else b"#FAILURE#")
    return right


def reply(end, key):
    challenge = end.recv_bytes(256)
    assert challenge.startswith(b"#CHALLENGE#")
    challenge = challenge[len(b"#CHALLENGE#"):]
    assert len(challenge) > 20, "an old challenge"
    digest = challenge[1:challenge.index(b"}")]
    end.send_bytes(b"{" + digest + b"}" + hmac.new(key, challenge, digest.decode()).digest())
    return end.recv_bytes(256) == b"#WELCOME#"


def main():
    role, address, key, digest = sys.argv[1], sys.argv[2], sys.argv[3].encode(), sys.argv[4]
    told = Connection(int(os.environ["PROCESSION_PIPE_pipe"]))
    if role == "client":
        with socket.socket(socket.AF_UNIX) as connecting:
            connecting.connect(address)
            end = Connection(connecting.detach())
        if reply(end, key) and ask(end, key, digest):
            end.send_bytes(b"hello from Python")
            told.send_bytes(end.recv_bytes())
        else:
            told.send_bytes(b"refused")
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listening.listen(1)
            told.send_bytes(b"listening")
            accepted, _ = listening.accept()
            end = Connection(accepted.detach())
        if ask(end, key, digest) and reply(end, key):
            end.send_bytes(end.recv_bytes().upper())
        else:
            told.send_bytes(b"refused")


if __name__ == "__main__":
    main()
