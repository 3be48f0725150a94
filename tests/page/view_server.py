"""The page's own files on a port of this machine, so that a browser can import single modules."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from privacy_callbacks.privacy_page.page_files import PAGE_FILES, page_file

_BLANK = b"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>views</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css"><link rel="stylesheet" href="/views.css"></head><body></body></html>"""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.lstrip("/").partition("?")[0]
        content, kind = page_file(name) or (b"", "") if name in PAGE_FILES else (_BLANK, "text/html; charset=utf-8")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def serve_page_files() -> Iterator[str]:
    """Yields an address whose root is an empty page beside the page's files."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
