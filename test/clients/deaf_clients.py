"""WebSocket clients whose machine seems to vanish: from a moment on not even their kernel answers.

Usage: python3 deaf_clients.py port path count. Prints "open" when all have their 101, reads a line, prints "deaf", and
ends with its standard input. Until then they answer nothing and read nothing.

A process that is stopped is no dead peer, for its kernel still acknowledges. A socket filter that accepts 0 bytes of
everything drops what comes in before TCP sees it (socket(7), SO_ATTACH_FILTER).
"""
import ctypes
import resource
import socket
import sys

SO_ATTACH_FILTER = 26
RETURN = 0x06


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction))]


def open_client(port, path):
    client = socket.create_connection(("127.0.0.1", port))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: roost.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    client.sendall(request.encode())
    head = b""
    while b"\r\n\r\n" not in head:
        received = client.recv(4096)
        if not received:
            raise SystemExit(f"the upgrade was answered with {head!r}")
        head += received
    if not head.startswith(b"HTTP/1.1 101 "):
        raise SystemExit(f"the upgrade was answered with {head!r}")
    return client


def main():
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    clients = [open_client(port, path) for _ in range(count)]
    print("open", flush=True)
    if not sys.stdin.readline():
        return
    drop_all = (Instruction * 1)(Instruction(RETURN, 0, 0, 0))
    program = bytes(Program(1, drop_all))
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    print("deaf", flush=True)
    sys.stdin.read()


main()
