"""Memory that is used again: never by two arrays at once, never more of it than was needed at the worst moment."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops import memory
from minicnn.ops.memory import (
    ALIGNMENT,
    LARGEST_MISFIT,
    MOST_VIEWS,
    PAGE,
    SLACK,
    SMALL,
    Block,
    Pool,
    empty,
    scratch,
    workspace,
)
from minicnn.shapes import Array


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool that no other test has used."""
    fresh = Pool()
    monkeypatch.setattr(memory, "POOL", fresh)
    return fresh


def address(array: Array) -> int:
    return int(array.ctypes.data)


# -- arrays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.bool_, np.int64])
def test_arrays_are_like_those_of_numpy(dtype: Any, pool: Pool) -> None:
    array = empty((3, 50, 700), dtype)
    assert array.shape == (3, 50, 700)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert type(array) is np.ndarray
    array[...] = 1
    assert array.sum() == array.size
    assert pool.lent == array.nbytes


@pytest.mark.parametrize("size", [1, 63, 64, 65, 100_000, 1_234_567])
def test_memory_begins_at_a_line_of_the_cache(size: int) -> None:
    blocks = [Block(size) for _ in range(5)]
    assert all(block.size == block.bytes.size == size for block in blocks)
    assert all(block.address == address(block.bytes) and block.address % ALIGNMENT == 0 for block in blocks)
    arrays = [empty((SMALL + size,), np.uint8) for _ in range(5)]
    assert all(address(array) % ALIGNMENT == 0 for array in arrays)


def test_blocks_one_after_the_other_begin_at_different_places_of_a_page() -> None:
    """To read and write addresses that agree in the last twelve bits is slow; all large arrays of the system do."""
    blocks = [Block(1_000_000) for _ in range(PAGE // ALIGNMENT + 1)]
    places = [block.address % PAGE for block in blocks]
    assert sorted(places[:-1]) == list(range(0, PAGE, ALIGNMENT))
    near = [min((one - other) % PAGE, (other - one) % PAGE) for one, other in zip(places[1:], places, strict=False)]
    assert min(near) > PAGE // 4


@pytest.mark.parametrize("shape", [(), (0,), (0, 10**6), (SMALL // 4 - 1,)])
def test_small_arrays_come_from_numpy(shape: tuple[int, ...], pool: Pool) -> None:
    array = empty(shape, np.float32)
    assert array.shape == shape
    assert array.base is None
    assert pool.held == 0


def test_the_first_size_that_is_recycled(pool: Pool) -> None:
    array = empty((SMALL // 4,), np.float32)
    assert pool.lent == SMALL
    del array
    assert (pool.lent, pool.held) == (0, SMALL)


# -- recycling ---------------------------------------------------------------------------------------------------------


def test_memory_of_a_freed_array_is_used_again() -> None:
    first = empty((100_000,), np.float32)
    at = address(first)
    del first
    second = empty((50_000,), np.float64)  # as many bytes, another type
    assert address(second) == at


def test_live_arrays_do_not_share_memory() -> None:
    arrays = [empty((100_000,), np.float32) for _ in range(4)]
    assert len({address(array) for array in arrays}) == 4
    assert not np.shares_memory(arrays[0], arrays[1])


def test_the_last_view_keeps_the_memory(pool: Pool) -> None:
    array = empty((1000, 100), np.float32)
    array[...] = 7
    view = array.reshape(100, 10, 100)[3:5].transpose(2, 0, 1)[::2]
    at = address(array)
    del array
    other = empty((1000, 100), np.float32)
    other[...] = -1
    assert address(other) != at
    assert (view == 7).all()
    del view
    assert pool.lent == other.nbytes
    assert address(empty((1000, 100), np.float32)) == at


def test_arrays_that_refer_to_themselves_are_freed_by_the_garbage_collector(pool: Pool) -> None:
    ring: list[Any] = [empty((100_000,), np.float32)]
    ring.append(ring)
    del ring
    gc.collect()
    assert pool.lent == 0


@pytest.mark.parametrize("size, again", [(100_000, True), (50_000, True), (49_999, False), (100_001, False)])
def test_a_block_may_be_twice_as_large_as_needed_and_no_larger(size: int, again: bool) -> None:
    """A thousand times larger, it would be missing where it is needed."""
    pool = Pool()
    block = pool.borrow(100_000)
    pool.give_back(block)
    assert (pool.borrow(size) is block) == again
    assert LARGEST_MISFIT == 2


def test_the_smallest_fitting_block_is_taken() -> None:
    pool = Pool()
    blocks = [pool.borrow(size) for size in (180_000, 120_000, 150_000)]
    for block in blocks:
        pool.give_back(block)
    assert pool.borrow(110_000) is blocks[1]
    assert pool.borrow(110_000) is blocks[2]
    assert pool.borrow(110_000) is blocks[0]


def test_the_same_sizes_again_need_no_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a training does: the same arrays in the same order, step after step."""
    made: list[int] = []

    def counted(size: int) -> Block:
        made.append(size)
        return Block(size)

    monkeypatch.setattr(memory, "Block", counted)

    def step() -> None:
        kept = [empty((size,), np.float32) for size in (90_000, 400_000, 200_000)]
        passing = [empty((size,), np.float32) for size in (50_000, 50_001)]
        del passing
        kept += [empty((size,), np.float32) for size in (90_000, 30_000)]

    step()
    first = len(made)
    for _ in range(5):
        step()
    assert len(made) == first


def test_of_equal_blocks_the_latest_is_taken() -> None:
    """What was written last may still be in a cache."""
    pool = Pool()
    blocks = [pool.borrow(100_000) for _ in range(3)]
    for block in blocks:
        pool.give_back(block)
    assert pool.borrow(100_000) is blocks[2]


def test_the_oldest_unused_memory_goes_first() -> None:
    pool = Pool()
    blocks = [pool.borrow(100_000 * 3**i) for i in range(3)]  # 1.3 million at the worst moment
    for block in blocks:
        pool.give_back(block)
    pool.borrow(350_000)  # a misfit of all three; 1.43 million may be held
    assert pool.held == 300_000 + 900_000 + 350_000 - 300_000
    assert pool.held <= SLACK * pool.most


def test_clear_lets_go_of_what_is_unused_and_keeps_what_is_not(pool: Pool) -> None:
    kept, gone = empty((100_000,), np.float32), empty((300_000,), np.float32)
    kept[...] = 5
    del gone
    pool.clear()
    assert pool.held == pool.lent == pool.most == kept.nbytes
    assert (kept == 5).all()
    del kept
    assert pool.lent == 0


# -- anything in any order ---------------------------------------------------------------------------------------------

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("make"), st.integers(SMALL, 6 * SMALL)),
        st.tuples(st.just("drop"), st.integers(0, 100)),
        st.tuples(st.just("keep a view of"), st.integers(0, 100)),
        st.tuples(st.just("clear"), st.just(0)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_whatever_is_made_and_dropped_keeps_its_numbers_within_the_bound(actions: list[tuple[str, int]]) -> None:
    """Every live array is full of its own number; if two shared memory, one of them would not be."""
    before, memory.POOL = memory.POOL, Pool()
    pool = memory.POOL
    live: list[tuple[int, Array]] = []
    try:
        for number, (action, value) in enumerate(actions):
            if action == "make":
                array = empty((value,), np.uint8)
                array[...] = number
                live.append((number, array))
                del array
            elif action == "clear":
                pool.clear()
            elif live:
                chosen = live.pop(value % len(live))
                if action == "keep a view of":
                    live.append((chosen[0], chosen[1][::3]))
                del chosen
            assert all((array == own).all() for own, array in live)
            assert sum(array.nbytes for _, array in live) <= pool.lent <= pool.most
            assert pool.held <= SLACK * pool.most
        live.clear()
        assert pool.lent == 0
    finally:
        memory.POOL = before


def test_threads_do_not_disturb_each_other(pool: Pool) -> None:
    """Eight threads make, fill, check and drop arrays; at the end everything has come back."""

    def work(own: int) -> bool:
        rng, fine, kept = np.random.default_rng(own), True, []
        for turn in range(150):
            array = empty((int(rng.integers(SMALL, 3 * SMALL)),), np.uint8)
            array[...] = own
            kept.append(array)
            if turn % 3 == 2:
                fine = fine and all((a == own).all() for a in kept)
                kept.clear()
        return fine

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))
    gc.collect()
    assert pool.lent == 0
    assert pool.held <= SLACK * pool.most


def test_an_array_may_be_freed_by_another_thread(pool: Pool) -> None:
    arrays = [empty((100_000,), np.float32)]
    thread = threading.Thread(target=arrays.clear)
    thread.start()
    thread.join()
    assert pool.lent == 0


# -- interrupted -------------------------------------------------------------------------------------------------------


def interrupted(action: Callable[[], Block], line: int, handler: Callable[[], Any]) -> tuple[Block, bool]:
    """What ``action`` returns when ``handler`` runs before the ``line``-th line of ``memory.py``, as a signal's handler
    does: on the same thread, with its locks held. And whether there was such a line."""
    lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != memory.__file__:
            return None
        if event == "line":
            lines += 1
            if lines == line:
                handler()  # Python traces nothing meanwhile
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        block = action()
    finally:
        sys.settrace(before)
    return block, lines >= line


@pytest.mark.parametrize("then", ["keeps", "gives back", "clears"])
@pytest.mark.parametrize("sizes", [(110_000,), (110_000, 10_000), (1_000_000,)])
@pytest.mark.parametrize("size", [110_000, 300_000])
def test_a_handler_that_borrows_in_between_leaves_to_each_its_own_block(
    size: int, sizes: tuple[int, ...], then: str
) -> None:
    """Before every line of ``borrow`` once. 110 000 bytes are there, and 300 000 need room to be made."""
    for line in itertools.count(1):
        pool, taken = Pool(), []
        for block in [pool.borrow(free) for free in (120_000, 10_000, 150_000, 5_000)]:
            pool.give_back(block)

        def handler(pool: Pool = pool, taken: list[Block] = taken) -> None:
            taken += [pool.borrow(other) for other in sizes]
            while taken and then == "gives back":
                pool.give_back(taken.pop())
            if then == "clears":
                pool.clear()

        own, there = interrupted(lambda pool=pool: pool.borrow(size), line, handler)  # type: ignore[misc]
        if not there:
            break
        assert size <= own.size <= LARGEST_MISFIT * size
        assert own not in taken
        assert own not in pool._free
        assert all(block.size >= other for block, other in zip(taken, sizes, strict=False))
        assert pool.lent == own.size + sum(block.size for block in taken)
    assert line > 10, "few lines were interrupted"


# -- scratch -----------------------------------------------------------------------------------------------------------


def test_scratch_is_the_same_memory_for_the_same_purpose() -> None:
    one = scratch("test one", (10, 30), np.float32)
    assert one.shape == (10, 30)
    assert one.dtype == np.float32
    assert address(one) % ALIGNMENT == 0
    assert address(scratch("test one", (5, 7), np.float64)) == address(one)
    assert not np.shares_memory(scratch("test two", (10, 30), np.float32), one)


def test_scratch_is_the_same_array_only_for_the_same_shape_and_dtype() -> None:
    one = scratch("test again", (4, 8), np.float32)
    assert scratch("test again", (4, 8), np.float32) is one
    whole = scratch("test again", (4, 8), np.int32)
    assert whole.dtype == np.int32
    assert address(whole) == address(one)
    assert scratch("test again", (8, 4), np.int32).shape == (8, 4)
    assert scratch("test again", (4, 8), np.float32).dtype == np.float32


def test_scratch_forgets_arrays_where_there_are_too_many_shapes() -> None:
    first = scratch("test many", (1000,), np.float32)
    for size in range(1, MOST_VIEWS):
        scratch("test many", (size,), np.float32)
    assert scratch("test many", (1000,), np.float32) is first
    scratch("test many", (MOST_VIEWS,), np.float32)
    again = scratch("test many", (1000,), np.float32)
    assert again is not first
    assert address(again) == address(first)


def test_scratch_grows_and_does_not_shrink() -> None:
    small = scratch("test growing", (10,), np.float32)
    large = scratch("test growing", (1000,), np.float32)
    assert not np.shares_memory(small, large)
    assert address(scratch("test growing", (10,), np.float32)) == address(large)


def test_every_thread_has_scratch_of_its_own() -> None:
    both = threading.Barrier(2)

    def work(own: int) -> bool:
        array = scratch("test threads", (1000,), np.float32)
        array[...] = own
        both.wait()
        return bool((array == own).all() and scratch("test threads", (1000,), np.float32)[0] == own)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(work, [1, 2])) == [True, True]


# -- workspaces --------------------------------------------------------------------------------------------------------


def test_a_workspace_is_the_same_memory_each_time() -> None:
    with workspace("test one after another", (10, 30), np.float32) as one:
        place = address(one)
        assert place % ALIGNMENT == 0
    with workspace("test one after another", (5, 7), np.float64) as smaller:
        assert (smaller.shape, smaller.dtype, address(smaller)) == ((5, 7), np.float64, place)
    with workspace("test one after another", (10, 30), np.float32) as again:
        assert address(again) == place


@pytest.mark.parametrize("before", [0, 250, 400])
@pytest.mark.parametrize("outer, inner", [(300, 200), (200, 300)])
def test_a_workspace_within_another_has_other_memory_and_the_larger_one_is_kept(
    before: int, outer: int, inner: int
) -> None:
    name = f"test nested {before} {outer}"
    if before:
        with workspace(name, (before,), np.float32) as first:
            first[:] = 0
    with workspace(name, (outer,), np.float32) as one:
        one[:] = 1
        with workspace(name, (inner,), np.float32) as two:
            assert not np.shares_memory(one, two)
            two[:] = 2
            places = {outer: address(one), inner: address(two)}
        assert (one == 1).all()
    with workspace(name, (10,), np.float32) as kept:
        assert address(kept) == (places[outer] if before == 400 else places[300])


def test_a_workspace_is_given_back_after_an_error() -> None:
    def fail() -> None:
        with workspace("test error", (100,), np.float32) as one:
            places.append(address(one))
            raise ValueError("oh")

    places: list[int] = []
    with pytest.raises(ValueError, match="oh"):
        fail()
    with workspace("test error", (100,), np.float32) as again:
        assert [address(again)] == places


def test_every_thread_has_a_workspace_of_its_own() -> None:
    with workspace("test threads", (1000,), np.float32) as one, ThreadPoolExecutor(1) as pool:

        def other() -> bool:
            with workspace("test threads", (1000,), np.float32) as array:
                return np.shares_memory(array, one)

        assert not pool.submit(other).result()
