"""The one exception meant for the reader of the terminal rather than for a traceback."""


class UserError(Exception):
    """Something the user can mend.

    The message is one line that names the file, key or step at fault and the mend. The command line prints
    `error: <message>` and exits with code 1.
    """
