"""A page that holds the player and nothing else, served from memory on 127.0.0.1."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dgemma_play.page import player

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Player</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>body { margin: 0; --dg-above: 0px }</style><style>%s</style></head>
<body><main><h1 style="position:absolute;clip-path:inset(50%%)">Player</h1><div id="player"></div></main>
<script>%s</script>
<script>
globalThis.asked = [];
globalThis.player = DGemmaPlayer.mount(document.getElementById("player"), {
  onAction: (name, data) => asked.push([name, data]),
});
</script></body></html>"""


class Host:
    """Files by path; `url` is where they are."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.files: dict[str, bytes] = {"/": (PAGE % (player.style(), player.script())).encode()}


@contextmanager
def serve() -> Iterator[Host]:
    """A host until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = host.files.get(self.path.split("?")[0])
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "text/html" if self.path == "/" else "application/octet-stream")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = Host(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
