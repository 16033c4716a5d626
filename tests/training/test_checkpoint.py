"""A damaged checkpoint is told in one line, and training goes on from the one before it."""

import random

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.training.checkpoint import MARK, Checkpoint, generators, restore_generators, seed_generators


def two(tmp_path, number=2):
    kept = Checkpoint(tmp_path / "c.pt")
    for each in range(1, number + 1):
        kept.write({"weights": torch.full((1000,), float(each)), "number": each})
    return kept


def numbers(kept):
    return [state["number"] for _, state in kept.states("cpu")]


def test_the_last_two_are_kept(tmp_path):
    kept = two(tmp_path, number=3)
    assert numbers(kept) == [3, 2]
    kept.path.unlink()
    assert kept.exists() and numbers(kept) == [2]  # killed between the two moves
    kept.delete()
    assert not kept.exists() and not list(tmp_path.iterdir())


def damages(content):
    yield b""
    yield content[:100]
    yield content[: len(content) // 2]
    yield content[:-1]
    yield b"[1, 2]"
    yield b"\0" * len(content)
    for place in range(40, len(content), len(content) // 23):
        yield content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def test_no_damage_is_taken_for_a_state(tmp_path, capsys):
    kept = two(tmp_path)
    content = kept.path.read_bytes()
    for damaged in damages(content):
        kept.path.write_bytes(damaged)
        assert numbers(kept) == [1]
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "c.pt is damaged (" in told and "going on from the checkpoint before" in told
    kept.before.unlink()
    assert numbers(kept) == [] and "training from the start" in capsys.readouterr().err


def test_a_checkpoint_without_a_digest_is_read_if_its_parts_are_whole(tmp_path, capsys):
    """As they were written before there were digests."""
    kept = two(tmp_path, number=1)
    content = kept.path.read_bytes().rpartition(MARK)[0]
    kept.path.write_bytes(content)
    assert numbers(kept) == [1]
    place = content.index(torch.ones(100).numpy().tobytes())
    kept.path.write_bytes(content[:place] + b"\1" + content[place + 1 :])
    assert torch.load(kept.path, weights_only=True)["number"] == 1  # torch itself takes it
    assert numbers(kept) == [] and "does not have its checksum" in capsys.readouterr().err


def test_a_folder_in_its_place_is_an_error(tmp_path):
    (tmp_path / "c.pt").mkdir()
    with pytest.raises(UserError, match=r"c\.pt cannot be read \(Is a directory\): make it readable, or delete it"):
        numbers(Checkpoint(tmp_path / "c.pt"))


def test_generators_are_put_back(tmp_path):
    def draw():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), np.random.randn(), random.gauss(0, 1)

    seed_generators(5)
    draw()
    kept = Checkpoint(tmp_path / "c.pt")
    kept.write({"generators": generators(torch.device("cpu"))})
    expected = draw()
    seed_generators(6)
    ((_, state),) = kept.states("cpu")
    restore_generators(state["generators"], torch.device("cpu"))
    assert draw() == expected
