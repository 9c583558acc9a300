"""Sample upstreams: `python -m demo.upstreams billing=PORT ...` answers every request with its own content.

The answer is JSON.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Echo(BaseHTTPRequestHandler):
    """Tells the caller which service was reached, and how."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # the whole answer in one packet
    timeout = 300
    server: "Upstream"

    def answer(self) -> None:
        """Answer any method."""
        echo = {
            "service": self.server.service,
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body_bytes": self._read_body(),
        }
        body = json.dumps(echo).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the base class's)
        """Log nothing: the gateways have access logs."""

    def _read_body(self) -> int:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return sum(iter(self._read_chunk, 0))
        return len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _read_chunk(self) -> int:
        size = int(self.rfile.readline().split(b";")[0], 16)
        self.rfile.read(size)
        self.rfile.readline()
        return size


for method in METHODS:
    setattr(Echo, f"do_{method}", Echo.answer)


class Upstream(ThreadingHTTPServer):
    """One sample service on a loopback port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: str, *, port: int) -> None:
        """Listen at once."""
        self.service = service
        super().__init__(("127.0.0.1", port), Echo)


def main(arguments: list[str]) -> None:
    """Serve until a signal ends the process."""
    upstreams = [
        Upstream(service, port=int(port)) for service, _, port in (text.partition("=") for text in arguments)
    ]
    threads = [Thread(target=upstream.serve_forever) for upstream in upstreams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
