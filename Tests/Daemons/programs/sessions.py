#!/usr/bin/python3
"""Opens sessions to a server and keeps them: each must answer, whenever asked, on the connection it began with.

usage: sessions.py COUNT PORT redis|smtp|http|postgres [URL|DATABASE]

Says `ready` when all are open; answers each line on standard input with `answered N of COUNT`. With a line `every SECONDS` all are
asked again and again from then on, and the next line's answer tells of all those rounds together.
"""

import select
import socket
import struct
import sys
import time

count, port, protocol = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
argument = sys.argv[4] if len(sys.argv) > 4 else ""


def line(session):
    text = session.readline()
    if not text:
        raise EOFError
    return text


def redis(session):
    session.write(b"PING\r\n")
    session.flush()
    return line(session) == b"+PONG\r\n"


def smtp(session):
    session.write(b"NOOP\r\n")
    session.flush()
    return line(session).startswith(b"250")


def http(session):
    session.write(f"GET {argument} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    session.flush()
    status, length = line(session), 0
    while (field := line(session)) != b"\r\n":
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    session.read(length)
    return status.split()[1] == b"200"


def until_ready(session):
    """Reads messages of the PostgreSQL protocol up to ReadyForQuery; an ErrorResponse counts against it."""
    good = True
    while True:
        kind, length = struct.unpack("!ci", session.read(5))
        session.read(length - 4)
        good = good and kind != b"E"
        if kind == b"Z":
            return good


def postgres(session):
    session.write(b"Q" + struct.pack("!i", 13) + b"SELECT 1\0")
    session.flush()
    return until_ready(session)


def connect():
    session = socket.create_connection(("127.0.0.1", port), timeout=20).makefile("rwb")
    if protocol == "smtp":
        line(session)
    if protocol == "postgres":
        words = f"user\0postgres\0database\0{argument}\0\0".encode()
        session.write(struct.pack("!ii", 8 + len(words), 3 << 16) + words)
        session.flush()
        until_ready(session)
    return session


ask = {"redis": redis, "smtp": smtp, "http": http, "postgres": postgres}[protocol]
sessions = [connect() for _ in range(count)]
alive = [True] * count


def round_of_questions():
    for i, session in enumerate(sessions):
        try:
            alive[i] = alive[i] and ask(session)
        except (OSError, EOFError, struct.error, IndexError):
            alive[i] = False


print("ready", flush=True)
period = None
while True:
    if not select.select([sys.stdin], [], [], period)[0]:
        round_of_questions()
        continue
    words = sys.stdin.readline().split()
    if not words:
        break
    if words[0] == "every":
        period = float(words[1])
    round_of_questions()
    print(f"answered {sum(alive)} of {count}", flush=True)
