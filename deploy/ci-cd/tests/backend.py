"""A stand-in for the backend's public routes, for the tests of the scripts beside it: answers as the
real one does when it is well, and as it does not when a file in its folder says so. Never part of a
deployment.

    backend.py PORT FOLDER COLOUR

FOLDER/unready, FOLDER/broken-redis, FOLDER/slow, FOLDER/busy: while the file exists, that is so.
FOLDER/bad-when-public: not ready for whoever comes through the door (X-Request-Id is set by nginx).
"""

import json
import pathlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, folder, colour = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if (folder / "slow").exists():
            time.sleep(1.5)
        unready = (folder / "unready").exists() or (
            (folder / "bad-when-public").exists() and self.headers.get("X-Request-Id")
        )
        broken = {
            "/health/ready": unready,
            "/health/redis": (folder / "broken-redis").exists(),
        }
        if self.path.startswith("/health/"):
            well = not broken.get(self.path, False)
            self.answer(200 if well else 503, {"status": "ok" if well else "unavailable"})
        elif self.path == "/api/version":
            self.answer(200, {"name": "microcrop", "version": "0", "commit": colour})
        elif self.path.startswith("/api/v1/"):
            self.answer(401, {"status": 401, "code": "unauthenticated"})
        else:
            self.answer(404, {"status": 404})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.startswith("/api/ussd"):
            text = b"END Watu wengi" if (folder / "busy").exists() else b"CON 1. Nunua"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        else:
            self.answer(404, {"status": 404})

    def answer(self, status, body):
        text = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer(("127.0.0.1", port), Backend).serve_forever()
