#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small registry (plain HTTP) that does what docker-registry does not: the referrers API, uploads that break,
answers that ask for patience, a Location on another host, refusals.

	registry.py PORTS-FILE LOG

The repository's first component says how it behaves: good, referrers, breaks, busy, elsewhere, readonly, liar, slow.
Two ports: what `elsewhere` sends uploads to is the second. LOG has a line a request: PORT METHOD PATH AUTHORIZATION LENGTH."""

import hashlib
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INDEX = "application/vnd.oci.image.index.v1+json"
blobs, manifests, uploads, counts = {}, {}, {}, {}
lock = threading.Lock()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        if self.command != "HEAD" or not any(k == "Content-Length" for k, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def first_time(self, what):
        with lock:
            counts[what] = counts.get(what, 0) + 1
            return counts[what] == 1

    def take_body(self, most=None):
        n = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(n if most is None else min(n, most))

    def handle_all(self):
        path = self.path.split("?")[0]
        with lock, open(sys.argv[2], "a") as f:
            f.write("%d %s %s %s %s\n" % (self.server.server_port, self.command, path,
                                          self.headers.get("Authorization", "-").split()[0], self.headers.get("Content-Length", "-")))
        m = re.fullmatch(r"/v2/(([a-z]+)/[a-z0-9/]+?)/(blobs/uploads|blobs|manifests|referrers)/(.*)", path)
        if not m:
            return self.answer(404)
        repository, self.how, kind, rest = m.groups()
        if self.headers.get("Authorization") != "Basic dTpw" and self.server.server_port == ports[0]:
            self.take_body()
            return self.answer(401, [("WWW-Authenticate", 'Basic realm="x"')])
        {"blobs/uploads": self.upload, "blobs": self.blob, "manifests": self.manifest,
         "referrers": self.referrers}[kind](repository, rest)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_all

    def blob(self, repository, digest):
        data = blobs.get((repository, digest))
        if data is None:
            return self.answer(404)
        self.answer(200, [("Content-Length", str(len(data)))] if self.command == "HEAD" else [], data)

    def upload(self, repository, rest):
        if self.command == "POST":
            if self.how == "readonly":
                return self.answer(403, body=json.dumps({"errors": [{"code": "DENIED", "message": "not\nyours"}]}).encode())
            if self.how == "busy" and self.first_time("busy"):
                return self.answer(429, [("Retry-After", "1")])
            name = str(len(uploads))
            uploads[name] = b""
            where = "/v2/%s/blobs/uploads/%s?state=1" % (repository, name)
            if self.how == "elsewhere":
                where = "http://127.0.0.1:%d%s" % (ports[1], where)
            return self.answer(202, [("Location", where)])
        where = ("Location", "/v2/%s/blobs/uploads/%s?state=%d" % (repository, rest, len(uploads[rest])))
        have = ("Range", "0-%d" % (len(uploads[rest]) - 1))
        if self.command == "GET":
            return self.answer(204, [where, have] if uploads[rest] else [where])
        n = int(self.headers.get("Content-Length", 0))
        if self.how == "slow" and n > 1000:
            time.sleep(600)
        if self.how == "breaks" and n > 1000 and self.first_time("breaks" + self.command):
            # Some of it arrives: a PATCH is to go on there, a PUT to begin again.
            data = self.take_body(1000)
            uploads[rest] += data if self.command == "PATCH" else b""
            self.close_connection = True
            return self.connection.shutdown(2)
        if self.command == "PATCH":
            begin = int(self.headers["Content-Range"].split("-")[0])
            if begin != len(uploads[rest]):
                self.take_body()
                return self.answer(416, [where, have])
            uploads[rest] += self.take_body()
            return self.answer(202, [where, ("Range", "0-%d" % (len(uploads[rest]) - 1))])
        data = uploads.pop(rest) + self.take_body()
        digest = re.search(r"digest=([^&]*)", self.path).group(1).replace("%3A", ":").replace("%3a", ":")
        if sha256(data) != digest:
            return self.answer(400, body=b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
        blobs[repository, digest] = data
        self.answer(201, [("Location", "/v2/%s/blobs/%s" % (repository, digest))])

    def manifest(self, repository, version):
        if self.command == "PUT":
            data = self.take_body()
            digest = sha256(data)
            for v in (version, digest):
                manifests[repository, v] = (data, self.headers["Content-Type"])
            headers = [("Docker-Content-Digest", sha256(b"") if self.how == "liar" else digest)]
            subject = json.loads(data).get("subject")
            if self.how == "referrers" and subject:
                headers.append(("OCI-Subject", subject["digest"]))
            return self.answer(201, headers)
        if (repository, version) not in manifests:
            return self.answer(404)
        data, media_type = manifests[repository, version]
        headers = [("Content-Type", media_type), ("Docker-Content-Digest", sha256(data))]
        if self.command == "HEAD":
            headers.append(("Content-Length", str(len(data))))
        self.answer(200, headers, data)

    def referrers(self, repository, digest):
        if self.how != "referrers":
            return self.answer(404)
        found = []
        for (r, version), (data, media_type) in sorted(manifests.items()):
            doc = json.loads(data)
            if r == repository and version.startswith("sha256:") and doc.get("subject", {}).get("digest") == digest:
                found.append({"mediaType": media_type, "digest": version, "size": len(data), "artifactType": doc.get("artifactType")})
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode()
        self.answer(200, [("Content-Type", INDEX)], body)


servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
ports = [s.server_port for s in servers]
open(sys.argv[2], "w").close()
for s in servers:
    s.daemon_threads = True
with open(sys.argv[1] + ".tmp", "w") as f:
    f.write("%d %d\n" % tuple(ports))
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
servers[0].serve_forever()
