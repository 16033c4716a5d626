"""A progress bar that says what a trainer wants to know; plain lines where there is no terminal."""

import sys
import time

from tqdm import tqdm

LINE_SECONDS = 15.0  # between lines where there is no terminal


class Progress:
    """Shows loss, accuracy where the answer could be known, episodes a second, and the time left."""

    def __init__(self, episodes: int, done: int):
        self.terminal = sys.stderr.isatty()
        self.total, self.first, self.began, self.last_line = episodes, done, time.monotonic(), -LINE_SECONDS
        self.bar = tqdm(total=episodes, initial=done, unit="ep", smoothing=0.1, disable=not self.terminal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def show(self, at, task: str) -> None:
        """`at` is the `Position` of the training, `task` the task it is at."""
        text = f"{task}  loss {at.loss.item():.3f} nats/step  accuracy {100 * at.accuracy.item():.1f} %"
        if self.terminal:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(at.episodes - self.bar.n)
            return
        now = time.monotonic()
        if now - self.last_line >= LINE_SECONDS:
            self.last_line = now
            speed = (at.episodes - self.first) / max(now - self.began, 1e-9)
            left = (self.total - at.episodes) / max(speed, 1e-9)
            print(
                f"episode {at.episodes:,} of {self.total:,}  {text}  {speed:.0f} episodes/s  {left / 60:.1f} min left",
                flush=True,
            )
