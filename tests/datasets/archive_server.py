"""A server of one file that cuts, changes, refuses and lies, as it is told."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """One file, and how badly it is served: `cuts` are the bytes after which each answer breaks off."""

    daemon_threads = True

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = content, '"one"'
        self.cuts, self.statuses, self.ranges = [], [], True
        self.lengths, self.wait_seconds, self.ignores_condition = True, 0.0, False
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/files/set.zip"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append({"Range": self.headers.get("Range"), "If-Range": self.headers.get("If-Range")})
        if server.statuses:
            return self.send_error(server.statuses.pop(0))
        start, status = 0, 200
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if wanted and server.ranges and (server.ignores_condition or condition in (None, server.etag)):
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(server.content):
                return self.send_error(416)
        body = server.content[start:]
        self.send_response(status)
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.lengths:
            self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        self.wfile.write(body)
        self.wfile.flush()
        time.sleep(server.wait_seconds)
