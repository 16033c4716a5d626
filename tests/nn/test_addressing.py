"""Edges of the addressing; `tests/models/test_ntm.py` compares the whole with the paper's equations."""

import torch

from metamemory.nn import addressing


def one_hot_rows(*rows, n=5):
    """Weights [1, H, N] on one row each."""
    return torch.eye(n)[list(rows)][None]


def test_a_shift_moves_weights_around_the_end():
    weights = one_hot_rows(0, 3, 4)
    for by, expected in ((-1, (4, 2, 3)), (0, (0, 3, 4)), (1, (1, 4, 0))):
        shifts = torch.eye(3)[by + 1].expand(1, 3, 3)
        assert torch.equal(addressing.shift(weights, shifts), one_hot_rows(*expected))


def test_sharpening_by_one_changes_nothing_and_by_much_leaves_the_largest():
    weights = torch.tensor([[[0.2, 0.3, 0.5, 0.0]]])
    torch.testing.assert_close(addressing.sharpen(weights, torch.ones(1, 1, 1)), weights)
    torch.testing.assert_close(addressing.sharpen(weights, torch.full((1, 1, 1), 1e3)), torch.eye(4)[2][None, None])


def test_weights_sum_to_one_and_gradients_are_finite_where_powers_underflow():
    """128 equal weights to the 60th are below what float32 holds."""
    weights = torch.full((1, 1, 128), 1 / 128, requires_grad=True)
    power = torch.full((1, 1, 1), 60.0, requires_grad=True)
    sharp = addressing.sharpen(weights, power)
    torch.testing.assert_close(sharp.sum(), torch.ones(()))
    sharp[0, 0, 0].backward()
    assert weights.grad.isfinite().all() and power.grad.isfinite().all()


def test_an_empty_memory_is_similar_to_nothing_with_a_finite_gradient():
    key, memory = torch.rand(1, 2, 3, requires_grad=True), torch.zeros(1, 5, 3, requires_grad=True)
    similarity = addressing.cosine(key, memory)
    assert torch.equal(similarity, torch.zeros(1, 2, 5))
    similarity.sum().backward()
    assert key.grad.isfinite().all() and memory.grad.abs().max() < 10 / addressing.SHORTEST


def test_the_cosine_does_not_depend_on_lengths():
    key, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    expected = torch.cosine_similarity(key[:, :, None], memory[:, None], dim=-1)
    torch.testing.assert_close(addressing.cosine(key, 3 * memory), expected, rtol=1e-4, atol=1e-5)


def test_what_is_written_on_a_row_can_be_read_there_and_nothing_else_changes():
    memory, add = torch.rand(1, 5, 3), torch.rand(1, 1, 3)
    weights = one_hot_rows(2)
    written = addressing.write(memory, weights, torch.ones(1, 1, 3), add)
    torch.testing.assert_close(addressing.read(weights, written), add)
    assert torch.equal(written[:, [0, 1, 3, 4]], memory[:, [0, 1, 3, 4]])


def test_the_order_of_write_heads_is_of_no_matter():
    memory, erase, add = torch.rand(2, 5, 3), torch.rand(2, 2, 3), torch.rand(2, 2, 3)
    weights = torch.rand(2, 2, 5).softmax(dim=-1)
    other = addressing.write(memory, weights.flip(1), erase.flip(1), add.flip(1))
    torch.testing.assert_close(addressing.write(memory, weights, erase, add), other)
