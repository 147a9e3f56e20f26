"""Forks: a child process computes with one thread, and finds every lock of ours free.

A fork copies the memory of a process and one of its threads. The threads that torch and FAISS
compute with are gone in the child, and a computation there would wait for them for ever; so a child
computes with one thread. A lock that another thread held would stay locked; so a fork waits for
those who hold one of ours (:func:`fork_safe_lock`), and what is held for long is made anew in the
child (:func:`renew_in_child`).

Children with several threads are started another way: spawn or forkserver.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from typing import Any, Protocol

PATIENCE_S = 5.0
"""A fork waits no longer for a lock; the child then finds it free, and what it guards perhaps half
changed."""


class Renewed(Protocol):
    """Something that a forked child cannot use as it is."""

    def after_fork(self) -> None:
        """Make anew, in the child, what belongs to one process."""


_LOCKS: weakref.WeakSet[Any] = weakref.WeakSet()
_RENEWED: weakref.WeakSet[Renewed] = weakref.WeakSet()
_held: list[Any] = []
_one_fork = threading.Lock()


def fork_safe_lock() -> threading.Lock:
    """A lock for short looks at shared values; a fork waits until nobody holds it."""
    lock = threading.Lock()
    _LOCKS.add(lock)
    return lock


def renew_in_child(owner: Renewed) -> None:
    """Call ``owner.after_fork`` in every process that is forked while the owner lives."""
    _RENEWED.add(owner)


def _before() -> None:
    _one_fork.acquire()
    for lock in list(_LOCKS):
        if lock.acquire(timeout=PATIENCE_S):
            _held.append(lock)


def _in_parent() -> None:
    while _held:
        _held.pop().release()
    _one_fork.release()


def _in_child() -> None:
    held = {id(lock) for lock in _held}
    for lock in list(_LOCKS):
        if id(lock) not in held:
            lock._at_fork_reinit()  # as the standard library does with its own
    _in_parent()
    _compute_with_one_thread()
    for owner in list(_RENEWED):
        _free_cached_properties(type(owner))
        owner.after_fork()


def _compute_with_one_thread() -> None:
    """Keep torch and FAISS, where they are loaded, from waiting for threads that are not there."""
    for module, setter in (("torch", "set_num_threads"), ("faiss", "omp_set_num_threads")):
        set_threads = getattr(sys.modules.get(module), setter, None)
        if set_threads is not None:
            set_threads(1)


def _free_cached_properties(kind: type) -> None:
    """Python 3.11 locks a cached property while a thread computes it."""
    for base in kind.__mro__:
        for value in vars(base).values():
            if isinstance(value, functools.cached_property) and hasattr(value, "lock"):
                value.lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
