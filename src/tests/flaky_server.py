#!/usr/bin/env python3
"""Serves the files of a folder to the tests of downloads, in a way that the path names:
/plain/NAME as it should be; /whole/NAME without ranges; /whole/N/NAME the same, and closes the
connection after N bytes; /drop/N/NAME closes the connection after N
bytes of each answer; /page/NAME is a page of HTML, whatever the name; anything else is not found.
  flaky_server.py FOLDER     writes FOLDER/port, then FOLDER/requests: "PATH first-byte", a line each
"""
import http.server
import os
import re
import signal
import sys

FOLDER = sys.argv[1]
PAGE = b"<!DOCTYPE html><title>Sign in</title>\n" * 40


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        way, *rest = self.path.strip("/").split("/")
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(asked[1]) if asked and way in ("plain", "drop") else 0
        with open(os.path.join(FOLDER, "requests"), "a", encoding="utf-8") as log:
            log.write(f"{self.path} {asked[1] if asked else 0}\n")
        path = os.path.join(FOLDER, rest[-1]) if rest else ""
        if way == "page":
            self.answer(200, PAGE, len(PAGE))
        elif way not in ("plain", "whole", "drop") or not os.path.isfile(path):
            self.answer(404, b"", 0)
        else:
            with open(path, "rb") as file:
                data = file.read()
            if first and first >= len(data):
                self.answer(416, b"", 0)
                return
            rest_of_it = data[first:]
            sent = rest_of_it[:int(rest[0])] if len(rest) > 1 else rest_of_it
            self.answer(206 if first else 200, sent, len(rest_of_it),
                        f"bytes {first}-{len(data) - 1}/{len(data)}" if first else None)

    def answer(self, status, sent, length, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


def main():
    signal.alarm(300)  # should the test end without ending it
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open(os.path.join(FOLDER, "port.new"), "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    os.rename(os.path.join(FOLDER, "port.new"), os.path.join(FOLDER, "port"))
    server.serve_forever()


if __name__ == "__main__":
    main()
