#!/usr/bin/python3
"""What daemons talk to in the tests, on 127.0.0.1: HTTP on port 8000, lines sent back on 7000, a mail sink on 2525. Says `ready`."""

import http.server
import socketserver
import threading


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Mail(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink")
        in_message = False
        for line in self.rfile:
            line = line.strip()
            if in_message:
                if line == b".":
                    in_message = False
                    self.say("250 taken")
                continue
            command = line[:4].upper()
            in_message = command == b"DATA"
            self.say("354 go on" if in_message else "221 bye" if command == b"QUIT" else "250 yes")
            if command == b"QUIT":
                return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        """A client that is gone is not worth a word."""


servers = [Server(("127.0.0.1", port), handler) for port, handler in ((8000, Page), (7000, Echo), (2525, Mail))]
threads = [threading.Thread(target=server.serve_forever) for server in servers]
for thread in threads:
    thread.start()
print("ready", flush=True)
