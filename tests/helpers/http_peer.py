"""Another server, for those that the homeserver asks over HTTP: a real one, on this machine."""

import asyncio
import ssl


class Peer:
    """Another server: it answers every path with what is laid there, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {"/": b"HTTP/1.1 200 OK\r\nX-Said: yes\r\nContent-Length: 5\r\n\r\nhello"}
        self.received: list[str] = []

    async def start(self, certificates: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=certificates)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[16:]) for line in head.lower().splitlines() if line.startswith("content-length: ")), 0)
        self.received.append(head + (await reader.readexactly(length)).decode())
        answer = self.answers.get(head.split(" ")[1])
        if answer is None:
            await reader.read()  # until the other side gives up
        else:
            writer.write(answer)
        writer.close()

    def redirect(self, path: str, target: str) -> None:
        self.answers[path] = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def lay(self, path: str, content_type: str, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.answers[path] = head.encode() + body

    def close(self) -> None:
        self._server.close()
