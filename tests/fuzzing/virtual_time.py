"""An event loop on which nobody waits: when nothing is left to do, the time jumps to when there is."""

import asyncio
import selectors


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs what is due, in order; hours pass in no time. Nothing outside of the process may be waited for."""

    def __init__(self) -> None:
        super().__init__(_Impatient(self))
        self.now = 0.0
        """Seconds since the loop began."""

    def time(self) -> float:
        return self.now


class _Impatient(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        self._loop.now += max(timeout, 0)
        return super().select(0)
