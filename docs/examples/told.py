"""Take what hooks tell, on port 8080: check the signature, and keep each message once."""

import base64
import hashlib
import hmac
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLD = Path("told.jsonl")
seen = set()  # a real receiver keeps these in its database


def is_genuine(headers, body):
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(os.environ["HOLDFAST_HOOK_SECRET"].encode(), content, hashlib.sha256)
    ours = "v1," + base64.b64encode(digest).decode()
    signed = any(hmac.compare_digest(ours, each) for each in headers["webhook-signature"].split())
    return signed and abs(time.time() - int(headers["webhook-timestamp"])) < 300


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_genuine(self.headers, body):
            self.send_response(403)
        else:
            if self.headers["webhook-id"] not in seen:
                with TOLD.open("ab") as told:
                    told.write(body + b"\n")
                seen.add(self.headers["webhook-id"])
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing for each request."""


ThreadingHTTPServer(("127.0.0.1", 8080), Receiver).serve_forever()
