"""Streaming download to a file, with a progress bar."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from metamemory.errors import UserError

TIMEOUT = 10  # seconds, to connect and for each read
CHUNK = 1 << 16  # bytes


class Unreachable(Exception):
    """The host did not answer, or answered that it does not serve the file; says why."""


def download(url: str, path: Path) -> None:
    """Fetch `url` into `path`.

    Raises:
        Unreachable: nothing was received.
        UserError: the transfer broke off.
    """
    try:
        response = urllib.request.urlopen(url, timeout=TIMEOUT)
    except urllib.error.HTTPError as reason:
        raise Unreachable(reason) from reason
    except (OSError, http.client.HTTPException) as reason:  # no network, no such host, time-out
        raise Unreachable(getattr(reason, "reason", reason)) from reason
    expected = int(response.headers.get("Content-Length") or 0)
    with response, path.open("wb") as file, _bar(path.name, expected) as bar:
        while chunk := _read(response, url):
            file.write(chunk)
            bar.update(len(chunk))
    received = path.stat().st_size
    if expected and received != expected:
        raise UserError(f"the download of {url} broke off at {received} of {expected} bytes: run it again")


def _read(response: http.client.HTTPResponse, url: str) -> bytes:
    """The next chunk. Apart from `write`, so that a broken network and a full disk are told apart."""
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as reason:
        raise UserError(f"the download of {url} broke off ({reason}): run it again") from reason


def _bar(name: str, total: int) -> tqdm:
    return tqdm(total=total or None, desc=name, unit="B", unit_scale=True, leave=False)
