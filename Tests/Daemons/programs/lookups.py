#!/usr/bin/python3
"""Threads that look names up now and then, each with a session that it asks in between. Complains with `error ...`."""

import socket
import threading
import time

THREADS = 4


def work(number):
    session = socket.create_connection(("127.0.0.1", 7000)).makefile("rwb", buffering=0)
    while True:
        try:
            socket.getaddrinfo(f"python{number}.example", 80)
        except OSError as error:
            print("error: lookup:", error, flush=True)
        session.write(b"there\n")
        if session.readline() != b"there\n":
            print("error: the session has ended", flush=True)
        time.sleep(0.15)


for number in range(THREADS):
    threading.Thread(target=work, args=(number,)).start()
