"""Being asked to stop, by Ctrl-C or by whoever manages the machine (SIGTERM): at the next safe place."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal has come; `number` says which."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """While the body runs, SIGTERM ends it as Ctrl-C does, by an exception, where it would end the process at once."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(number)


class Interruption:
    """While the body of `with` runs, the first signal is only noted; the second acts as it did before.

    A signal that the process ignores is ignored, and outside of the main thread nothing is noted.

    Attributes:
        number: of the signal that has come; None while none has.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.former: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                former = signal.getsignal(number)
                if former not in (None, signal.SIG_IGN):
                    self.former[number] = former
                    signal.signal(number, self._note)
        return self

    def _note(self, number: int, _: object) -> None:
        self.number = number
        self._put_back()

    def _put_back(self) -> None:
        while self.former:
            signal.signal(*self.former.popitem())

    def __exit__(self, *_: object) -> None:
        self._put_back()

    def act(self) -> None:
        """Raises `Interrupted` if a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)
