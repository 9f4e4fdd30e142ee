"""A push gateway as a process of its own: it checks what it is told against the specification, and remembers it.

    python gateway.py [DESCRIPTION]

It prints its port, then a line of JSON for every notification: what it was told, and what is wrong with it. A line on
its input says how it answers from then on: {"status": 200, "rejected": []}.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATH = "/_matrix/push/v1/notify"


class Gateway(ThreadingHTTPServer):
    manner: dict[str, Any] = {"status": 200, "rejected": []}  # noqa: RUF012
    validator: Any = None

    def problems(self, body: Any) -> list[str]:
        if self.validator is None:
            return []
        return [str(error.message) for error in self.validator.iter_errors(body)]


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        problems = self.server.problems(body)
        if self.path != PATH or self.headers["content-type"] != "application/json":
            problems.append(f"POST {self.path} of {self.headers['content-type']}")
        manner = self.server.manner
        print(json.dumps({"body": body, "problems": problems}), flush=True)
        answer = json.dumps({"rejected": manner["rejected"]}).encode()
        self.send_response(manner["status"])
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def main(description: str | None) -> None:
    gateway = Gateway(("127.0.0.1", 0), Handler)
    if description is not None:
        from jsonschema_rs import Draft202012Validator

        operation = json.loads(Path(description).read_text())["paths"][PATH]["post"]
        gateway.validator = Draft202012Validator(operation["requestBody"]["content"]["application/json"]["schema"])
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    print(gateway.server_port, flush=True)
    for line in sys.stdin:
        gateway.manner = json.loads(line)
        print("heard", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2] or [None])
