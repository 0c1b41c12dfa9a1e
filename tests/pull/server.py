#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that misbehaves, for tests/pull.bats: serves the tags of an OCI layout over TLS.

	server.py LAYOUT CERT KEY PORT-FILE LOG

The repository's name says what it does: /v2/BEHAVIOUR/manifests/TAG. Two ports are written to PORT-FILE; blobs are
redirected to the second one, which refuses requests that carry an Authorization header. LOG gets a line a request."""

import base64
import json
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LAYOUT, CERT, KEY, PORT_FILE, LOG = sys.argv[1:6]
BASIC = "Basic " + base64.b64encode(b"demo:secret").decode()
lock = threading.Lock()
counts = {}
ports = []


def count(key):
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key]


def log(line):
    with lock, open(LOG, "a") as f:
        f.write(line + "\n")


def tags():
    with open(LAYOUT + "/index.json") as f:
        return {m["annotations"]["org.opencontainers.image.ref.name"]: m for m in json.load(f)["manifests"]}


def blob(digest):
    with open(LAYOUT + "/blobs/" + digest.replace(":", "/"), "rb") as f:
        return f.read()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=None, length=None):
        self.send_response(status)
        for k, v in (headers or {}).items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, code, headers=None):
        body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
        self.answer(status, body, headers)

    def do_GET(self):
        auth = self.headers.get("Authorization", "")
        log("%d %s auth=%s range=%s" % (self.server.server_port, self.path, auth.split(" ")[0] or "none",
                                       self.headers.get("Range", "none")))
        if self.server.server_port == ports[1]:
            return self.other_host(auth)
        if self.path.startswith("/token?"):
            return self.token(auth)
        parts = self.path.split("/")  # "", "v2", behaviour, "manifests" or "blobs", what
        if len(parts) != 5:
            return self.error(404, "NAME_UNKNOWN")
        return getattr(self, "do_" + parts[2], self.serve)(parts[3], parts[4], auth)

    # ---- what a registry does

    def find(self, kind, what):
        if kind == "blobs":
            return blob(what), "application/octet-stream"
        if what in tags():
            return blob(tags()[what]["digest"]), tags()[what]["mediaType"]
        data = blob(what)
        return data, json.loads(data)["mediaType"]

    def serve(self, kind, what, auth=None):
        try:
            data, media = self.find(kind, what)
        except (FileNotFoundError, ValueError):
            return self.error(404, "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN")
        headers = {"Content-Type": media}
        begin = self.headers.get("Range")
        if begin:
            at = int(begin[6:].split("-")[0])
            headers["Content-Range"] = "bytes %d-%d/%d" % (at, len(data) - 1, len(data))
            return self.answer(206, data[at:], headers)
        return self.answer(200, data, headers)

    # ---- logins

    def do_bearer(self, kind, what, auth, body=None):
        # A token is good for four requests.
        good = auth.startswith("Bearer good-") and count(auth) <= 4
        if not good:
            realm = "https://127.0.0.1:%d/token" % ports[0]
            challenge = 'Bearer realm="%s",service="kihon test",scope="repository:bearer:pull"' % realm
            return self.error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        return self.serve(kind, what)

    def token(self, auth):
        if auth != BASIC:
            return self.error(401, "UNAUTHORIZED")
        if "scope=repository%3Abearer%3Apull" not in self.path or "service=kihon%20test" not in self.path:
            return self.error(400, "UNSUPPORTED")
        key = "access_token" if count("tokens") % 2 else "token"
        return self.answer(200, json.dumps({key: "good-%d" % count("good"), "expires_in": 60}).encode())

    def do_strange(self, kind, what, auth):
        return self.error(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Digest realm="x"'})

    # ---- redirections

    def other_host(self, auth):
        if auth:
            return self.error(403, "AUTHORIZATION_WAS_FORWARDED")
        return self.serve("blobs", self.path.split("/")[-1])

    def do_redirect(self, kind, what, auth):
        if auth != BASIC:
            return self.error(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="x"'})
        if kind == "manifests":
            return self.serve(kind, what)
        # By way of a relative address first.
        if count("relative " + what) % 2:
            return self.answer(307, headers={"Location": "/v2/redirect/blobs/" + what})
        return self.answer(307, headers={"Location": "https://localhost:%d/cdn/%s" % (ports[1], what)})

    def do_downgrade(self, kind, what, auth):
        if kind == "manifests":
            return self.serve(kind, what)
        return self.answer(307, headers={"Location": "http://127.0.0.1:%d/cdn/%s" % (ports[1], what)})

    def do_circle(self, kind, what, auth):
        return self.answer(302, headers={"Location": self.path})

    # ---- broken transfers

    def cut(self, data, n, headers=None):
        self.answer(200, data[:n], headers, length=len(data))
        self.close_connection = True

    def do_break(self, kind, what, auth):
        data, media = self.find(kind, what)
        if kind == "blobs" and len(data) > 1000 and count("break " + what) <= 3:
            begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
            part = data[begin:]
            headers = {"Content-Range": "bytes %d-%d/%d" % (begin, len(data) - 1, len(data))}
            self.answer(206 if begin else 200, part[:len(part) // 2], headers, length=len(part))
            self.close_connection = True
            return None
        return self.serve(kind, what)

    def do_norange(self, kind, what, auth):
        data, media = self.find(kind, what)
        if kind == "blobs" and len(data) > 1000 and count("norange " + what) <= 2:
            return self.cut(data, len(data) // 2)
        return self.answer(200, data, {"Content-Type": media})

    def do_wrongrange(self, kind, what, auth):
        data, media = self.find(kind, what)
        if kind == "blobs" and self.headers.get("Range"):
            return self.answer(206, data[:10], {"Content-Range": "bytes 0-9/%d" % len(data)})
        return self.cut(data, len(data) // 2) if kind == "blobs" and len(data) > 1000 else self.serve(kind, what)

    def do_always(self, kind, what, auth):
        """Breaks before the first byte, for ever."""
        if kind == "manifests":
            return self.serve(kind, what)
        self.cut(b"x" * 100, 0)
        return None

    def do_short(self, kind, what, auth):
        """A blob that is complete for HTTP, and too short."""
        data, media = self.find(kind, what)
        return self.answer(200, data[:-20] if kind == "blobs" and len(data) > 1000 else data,
                           {"Content-Type": media})

    def do_long(self, kind, what, auth):
        data, media = self.find(kind, what)
        return self.answer(200, data + b"more" if kind == "blobs" else data, {"Content-Type": media})

    def do_flip(self, kind, what, auth):
        data, media = self.find(kind, what)
        if kind == "blobs" and len(data) > 1000:
            data = data[:500] + bytes([data[500] ^ 1]) + data[501:]
        return self.answer(200, data, {"Content-Type": media})

    def do_flipmanifest(self, kind, what, auth):
        data, media = self.find(kind, what)
        return self.answer(200, data + b" " if kind == "manifests" else data, {"Content-Type": media})

    def do_busy(self, kind, what, auth):
        n = count("busy " + what)
        if n == 1:
            return self.error(429, "TOOMANYREQUESTS", {"Retry-After": "1"})
        return self.error(503, "UNAVAILABLE") if n == 2 else self.serve(kind, what)

    def do_hang(self, kind, what, auth):
        data, media = self.find(kind, what)
        if kind == "manifests" or len(data) < 1000:
            return self.serve(kind, what)
        self.answer(200, data[:len(data) // 2], {"Content-Type": media}, length=len(data))
        self.wfile.flush()
        log("hanging")
        time.sleep(60)
        self.close_connection = True
        return None

    # ---- nonsense

    def do_nonsense(self, kind, what, auth):
        return self.answer(200, b"<html>not json</html>", {"Content-Type": "text/html"})

    def do_schema1(self, kind, what, auth):
        return self.answer(200, b'{"schemaVersion":1,"fsLayers":[]}',
                           {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"})

    def do_endless(self, kind, what, auth):
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" " * 65536)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    for s in servers:
        s.socket = context.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
        ports.append(s.server_port)
    with open(PORT_FILE + ".new", "w") as f:
        f.write(" ".join(map(str, ports)) + "\n")
    os.rename(PORT_FILE + ".new", PORT_FILE)
    threading.Thread(target=servers[1].serve_forever, daemon=True).start()
    servers[0].serve_forever()


main()
