"""Streaming download to a file, with a progress bar."""

import http.client
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import quote

from tqdm import tqdm

from metamemory.errors import UserError

TIMEOUT = 10  # seconds, to connect and for each read
LONGEST = 2 * 60 * 60  # seconds, of a whole download
SLOWEST, PATIENCE = 1000, 60  # bytes a second on average, once so many seconds have passed
MOST_BYTES = 8 << 30
CHUNK = 1 << 16  # bytes


class Unreachable(Exception):
    """The host did not answer, or answered that it does not serve the file; says why."""


def download(url: str, path: Path, most: int = MOST_BYTES) -> None:
    """Fetch `url` into `path`.

    Args:
        most: bytes that are taken.

    Raises:
        Unreachable: nothing was received.
        UserError: the transfer broke off, took too long, or the file is too large.
    """
    try:
        response = urllib.request.urlopen(quote(url, safe="/:?#[]@!$&'()*+,;=%~"), timeout=TIMEOUT)
    except urllib.error.HTTPError as reason:
        raise Unreachable(reason) from reason
    except (OSError, http.client.HTTPException, ValueError) as reason:  # no network, no such host, time-out, no URL
        raise Unreachable(getattr(reason, "reason", reason)) from reason
    expected, started, received = _length(response), time.monotonic(), 0
    with response, path.open("wb") as file, _bar(path.name, expected) as bar:
        while chunk := _read(response, url):
            received += len(chunk)
            if max(received, expected) > most:
                size = max(received, expected)
                raise UserError(f"the download of {url} is of {size} bytes or more, and at most {most} are taken")
            _require_progress(url, received, time.monotonic() - started)
            file.write(chunk)
            bar.update(len(chunk))
    if expected and received != expected:
        raise UserError(f"the download of {url} broke off at {received} of {expected} bytes: run it again")


def _length(response: IO[bytes]) -> int:
    """Bytes that are announced; 0 where none are, or what is announced is no number."""
    announced = (response.headers.get("Content-Length") or "").strip()
    return int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else 0


def _read(response: IO[bytes], url: str) -> bytes:
    """What has come of the next chunk. Apart from `write`, so that a broken network and a full disk are told apart."""
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException, ValueError) as reason:
        raise UserError(f"the download of {url} broke off ({reason}): run it again") from reason


def _require_progress(url: str, received: int, seconds: float) -> None:
    slow = seconds > PATIENCE and received < SLOWEST * seconds
    if slow or seconds > LONGEST:
        raise UserError(
            f"the download of {url} has brought {received} bytes in {seconds:.0f} s and was given up: run it again"
        )


def _bar(name: str, total: int) -> tqdm:
    return tqdm(total=total or None, desc=name, unit="B", unit_scale=True, leave=False)
