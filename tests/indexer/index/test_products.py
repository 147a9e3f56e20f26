"""Inner products over threads: the same for any number of them, each computing alone."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gair.arrays import Floats32
from indexer.index.products import _THREADS, ROWS_AT_ONCE, inner_products

ROWS = 2 * ROWS_AT_ONCE + 77


@pytest.fixture
def threads() -> Iterator[int]:
    """Torch computes with two threads while this lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def halves(count: int = ROWS, dim: int = 48) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0)).half()


def queries(count: int, dim: int = 48) -> Floats32:
    return np.random.default_rng(1).standard_normal((count, dim), dtype=np.float32)


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_threads_gives_the_same(threads: int, count: int) -> None:
    rows, asked = halves(), queries(count)
    shared = inner_products(rows, asked)
    torch.set_num_threads(1)
    np.testing.assert_array_equal(shared, inner_products(rows, asked))
    exact = asked.astype(np.float64) @ rows.numpy().astype(np.float64).T
    np.testing.assert_allclose(shared, exact, rtol=0, atol=2e-5)


def test_each_thread_computes_alone_and_others_as_before(threads: int) -> None:
    inner_products(halves(), queries(1))
    inside = [_THREADS._pool(threads).submit(torch.get_num_threads).result() for _ in range(8)]
    assert set(inside) == {1}
    assert torch.get_num_threads() == threads
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [threads]


def test_many_may_ask_at_once(threads: int) -> None:
    rows, asked = halves(), [queries(1)[0] * (n + 1) for n in range(6)]
    found: dict[int, Floats32] = {}

    def ask(n: int) -> None:
        found[n] = inner_products(rows, asked[n][None])

    asking = [threading.Thread(target=ask, args=(n,)) for n in range(len(asked))]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    for n, query in enumerate(asked):
        np.testing.assert_array_equal(found[n], inner_products(rows, query[None]))


def test_an_error_in_a_thread_is_the_callers(threads: int) -> None:
    with pytest.raises(RuntimeError, match="mat"):
        inner_products(halves(), queries(2, dim=47))


def test_a_forked_child_makes_threads_of_its_own(threads: int) -> None:
    inner_products(halves(), queries(1))
    context = multiprocessing.get_context("fork")
    theirs, ours = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(ours,))
    child.start()
    assert theirs.poll(30), "the child waits for threads that it does not have"
    np.testing.assert_array_equal(theirs.recv(), inner_products(halves(), queries(1)))
    child.join()


def _in_child(to_parent: multiprocessing.connection.Connection) -> None:
    assert not _THREADS._pools
    to_parent.send(inner_products(halves(), queries(1)))
