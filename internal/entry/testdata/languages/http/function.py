"""An HTTP function with what Python brings along."""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.environ.get("FAIL_INIT"):
    raise ImportError("no module for cards")


class Function(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        do = event["do"]
        if do == "echo":
            self.answer(200, {"text": event["text"]})
        elif do == "throw":
            raise ValueError("no such card")
        elif do == "fail":
            self.answer(500, {"errorType": "CardError", "errorMessage": "no such card"})
        elif do == "sleep":
            time.sleep(3600)
        elif do == "eat":
            eaten = []
            while True:
                eaten.append(b"x" * (8 << 20))
        elif do == "take":
            self.answer(200, {"size": len(event["text"])})
        elif do == "give":
            self.answer(200, "x" * (event["size"] - 2))
        else:
            self.answer(200, {
                "id": self.headers["Dalamb-Request-Id"],
                "leftMs": int(self.headers["Dalamb-Deadline-Ms"]) - int(time.time() * 1000),
                "trace": self.headers["Traceparent"],
            })

    def do_GET(self):
        """A streamed answer; one for /fail that breaks off."""
        self.send_response(207)
        for name, value in {"Content-Type": "text/plain", "X-Streamed": "yes", "Set-Cookie": "a=1", "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.chunk(b"first ")
        time.sleep(0.1)
        if self.path == "/fail":
            self.close_connection = True
            raise ValueError("no such card")
        self.chunk(b"second")
        self.chunk(b"")

    def chunk(self, part):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.flush()

    def answer(self, status, value):
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Function).serve_forever()
