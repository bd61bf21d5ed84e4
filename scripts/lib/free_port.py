"""Prints a free port of 127.0.0.1, from below the range that the system gives to outgoing connections."""

import random
import socket

while True:
    port = random.randrange(20000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
