"""The Python side of the example: multiprocessing.connection.Connection over an inherited descriptor."""

import json
import os
import sys
from multiprocessing.connection import Connection

end = Connection(int(os.environ["PROCESSION_PIPE_pipe"]))
try:
    while True:
        message = end.recv_bytes()
        if sys.argv[1] == "bills":
            order = json.loads(message)
            bill = {"customer": order["customer"], "total": sum(order["prices"])}
            message = json.dumps(bill).encode()
        end.send_bytes(message)
except EOFError:
    pass
