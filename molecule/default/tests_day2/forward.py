"""A port on this computer that leads to one on a host, which listens on that host's loopback only."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import threading
from contextlib import contextmanager, suppress

#: What runs on the host, for each connection: a relay between its standard input and output and the port.
RELAY = """
import os, socket, threading
server = socket.create_connection(("127.0.0.1", {port}))
def send():
    while data := os.read(0, 65536):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := server.recv(65536):
    os.write(1, data)
"""


@contextmanager
def forwarded(host, port):
    """Return the port on this computer that leads to one on a host, which is a container."""
    command = ["docker", "exec", "--interactive", host.backend.name, "python3", "-c", RELAY.format(port=port)]

    class Connection(socketserver.BaseRequestHandler):
        def handle(self):
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as relay:

                def send():
                    with suppress(OSError), relay.stdin:
                        while data := self.request.recv(65536):
                            relay.stdin.write(data)

                threading.Thread(target=send, daemon=True).start()
                with suppress(OSError):
                    while data := relay.stdout.read(65536):
                        self.request.sendall(data)
                with suppress(OSError):
                    self.request.shutdown(socket.SHUT_RDWR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Connection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
