"""The one exception meant for the reader of the terminal rather than for a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend.

    The message is one line that names the file, key or step at fault and the mend. The command line prints
    `error: <message>` and exits with code 1.
    """


def closest(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is not `known`: what may have been meant, and what there is."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return f"{hint} There are {', '.join(known)}."
