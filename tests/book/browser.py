"""Headless Chromium, driven over its DevTools protocol through two pipes: no package is needed, and no port."""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 60  # that an answer may take
# Chromium reads commands from descriptor 3 and writes answers to 4; those that this process has are others.
SHIM = (
    "import os, sys; read, write = map(int, sys.argv[1:3]); os.dup2(read, 3); os.dup2(write, 4);"
    "os.execvp(sys.argv[3], sys.argv[3:])"
)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
CODES = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}


class Browser:
    """One Chromium with one tab.

    Args:
        program: to run.
        folder: for its profile.

    Attributes:
        problems: errors on the console, exceptions, and files that could not be loaded, since the last `open`.
    """

    def __init__(self, program: str, folder: Path):
        read, self._write = _pipe()
        self._read, write = _pipe()
        command = [program, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", SHIM, str(read), str(write), *command],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self._buffer, self._count, self._session = b"", 0, None
        self.problems: list[str] = []
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        try:
            self._session = None
            self.call("Browser.close")
            self._process.wait(timeout=10)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, and what it returns."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        """The next message; of events, what is a problem is noted."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(end - time.monotonic(), 0))[0]:
                raise RuntimeError(f"Chromium has said nothing for {SECONDS} s")
            if not (more := os.read(self._read, 1 << 20)):
                raise RuntimeError("Chromium has ended")
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event: str | None, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.problems.append(str(told["exceptionDetails"].get("exception", told)))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.problems.append(f"{told['type']}: {[each.get('value', each) for each in told['args']]}")
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif event == "Network.loadingFailed" and not told.get("canceled"):
            self.problems.append(f"not loaded: {told['errorText']}")

    def open(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """A page of a file, once it has loaded."""
        self._size(width, height)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.problems.clear()
        self._loaded = False
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not self._loaded:
            self._next()

    def _size(self, width: int, height: int) -> None:
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **sizes)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", expression))
        return found["result"].get("value")

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element in the window, into which it is scrolled."""
        look = "each => (each.scrollIntoView({block: 'center'}), each.getBoundingClientRect().toJSON())"
        box = self.evaluate(f"({look})(document.querySelector({selector!r}))")
        return box["left"], box["top"], box["width"], box["height"]

    def draw(self, selector: str, *strokes: list[tuple[float, float]]) -> None:
        """Strokes with the mouse on an element, their points in shares of its sides."""
        left, top, width, height = self.place(selector)
        for stroke in strokes:
            points = [(left + x * width, top + y * height) for x, y in stroke]
            kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 2), "mouseReleased"]
            for kind, (x, y) in zip(kinds, points, strict=True):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def touch(self, selector: str, stroke: list[tuple[float, float]]) -> None:
        """A stroke with a finger."""
        left, top, width, height = self.place(selector)
        for number, (x, y) in enumerate(stroke):
            point = [{"x": left + x * width, "y": top + y * height}]
            self.call("Input.dispatchTouchEvent", type="touchMove" if number else "touchStart", touchPoints=point)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def click(self, selector: str) -> None:
        left, top, width, height = self.place(selector)
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": left + width / 2, "y": top + height / 2}
            self.call("Input.dispatchMouseEvent", type=kind, **at, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A key: "1", "Tab", " " for the space bar, "ArrowUp"."""
        told = {"key": key, "windowsVirtualKeyCode": CODES.get(key) or ord(key)}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def picture(self, path: Path, width: int) -> None:
        """A screenshot of the whole page, in a window as high as it is."""
        height = self.evaluate("document.documentElement.scrollHeight")
        self._size(width, height)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def _pipe() -> tuple[int, int]:
    """Both ends have numbers from 10 on, out of the way of those that Chromium reads and writes."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved
