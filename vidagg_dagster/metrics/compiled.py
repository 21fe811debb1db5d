"""Chooses how the loops of the arithmetic run: compiled by numba, or as the plain Python they are.

A *rule* is a small function that a fold calls. A *fold* is a loop over arrays, some of them arrays
of records, whose fields a dataclass names. Both stay plain functions. A fold is compiled when its
input is large and numba is installed; the compiled code is kept on disk. Small inputs are not
worth the import of a compiler, so they run as plain Python: there is one statement of each rule
either way.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from threading import Lock
from types import FunctionType
from typing import Any, Final, Generic, ParamSpec, TypeVar

import numpy as np

COMPILED_FROM: Final = 50_000
"""Inputs of so many rows are folded by compiled code, if there is a compiler."""

COMPILED_ONCE_LOADED_FROM: Final = 2_000
"""The same where the compiler is loaded already, because an earlier input was large."""

_P = ParamSpec("_P")
_F = TypeVar("_F", bound=Callable[..., Any])

_PACKAGE: Final = Path(__file__).parents[1]

_COMPILED_IN: Final = ("core", "metrics")
"""The folders of the rules that folds call, and of the constants in them."""

_KINDS: Final = {int: "i8", float: "f8", bool: "?"}

_rules: list[Callable[..., Any]] = []
_classes: dict[np.dtype[Any], type] = {}
_lock = Lock()


def rule(function: _F) -> _F:
    """Marks a function that folds call, so that it can be compiled into them."""
    _rules.append(function)
    return function


def new_records(record: type, rows: int) -> Any:
    """An array of records with the fields of a dataclass of numbers, whose values mean nothing yet.

    Memory that is not filled is not taken either: nothing is written here.
    """
    kind = np.dtype([(field.name, _KINDS[field.type]) for field in fields(record)])  # type: ignore[index]
    _classes.setdefault(kind, record)
    return np.empty(rows, kind)


class Fold(Generic[_P]):
    """A loop over arrays. Its last argument is what it fills: an array or a tuple of arrays.

    Calling it runs whichever form fits the size of the largest array that it reads.
    """

    def __init__(self, function: Callable[_P, int]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self._compiled: Callable[..., int] | None = None

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> int:
        """What the loop returns, usually how many rows it filled."""
        rows = max(map(_rows, args[:-1] or args))
        least = COMPILED_ONCE_LOADED_FROM if "numba" in sys.modules else COMPILED_FROM
        large = rows >= least and can_compile()
        run = self.run_compiled if large else self.run_plain
        return run(*args, **kwargs)

    def run_plain(self, *args: _P.args, **_: _P.kwargs) -> int:
        """As plain Python, on lists: Python's own numbers are several times as fast as numpy's."""
        lists = [_as_lists(value) for value in args]
        result = self.function(*lists)  # type: ignore[call-arg]
        _copy_back(lists[-1], args[-1])
        return result

    def run_compiled(self, *args: _P.args, **_: _P.kwargs) -> int:
        """As machine code, without Python's lock."""
        if self._compiled is None:
            self._compiled = _compile(self.function)
        return int(self._compiled(*map(_as_arrays, args[:-1]), args[-1]))


def can_compile() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def _compile(function: Callable[..., int]) -> Callable[..., int]:
    from numba import njit
    from numba.extending import register_jitable

    # No loop and no rule makes an array. To count the references to every array of every tuple
    # that is passed on took four fifths of the time of the fold.
    uncounted: dict[str, Any] = {"_nrt": False}
    with _lock:
        while _rules:
            register_jitable(**uncounted)(_rules.pop())
        compiled: Callable[..., int]
        try:
            compiled = njit(cache=True, nogil=True, **uncounted)(_named_by_sources(function))
        except RuntimeError:  # no folder to keep machine code in
            compiled = njit(nogil=True, **uncounted)(function)
        return compiled


def _named_by_sources(function: Callable[..., int]) -> Callable[..., int]:
    """A copy whose name tells from which sources it is compiled.

    numba finds the machine code that it kept by the name and by the function's own file alone: a
    rule that changed in another file would go on as it was.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function} is not a plain function")
    copy = FunctionType(function.__code__, function.__globals__, function.__name__)
    copy.__qualname__ = f"{function.__qualname__}_{_digest_of_sources()}"
    copy.__module__ = function.__module__
    return copy


@cache
def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for folder in _COMPILED_IN:
        for file in sorted((_PACKAGE / folder).rglob("*.py")):
            digest.update(f"{file.relative_to(_PACKAGE)} {file.stat().st_size} ".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _rows(value: Any) -> int:
    if isinstance(value, tuple):
        return max(map(_rows, value), default=0)
    return len(value) if isinstance(value, np.ndarray) else 0


def _as_lists(value: Any) -> Any:
    if isinstance(value, tuple):
        return type(value)(*map(_as_lists, value))
    if not isinstance(value, np.ndarray):
        return value
    record = _classes.get(value.dtype) if value.dtype.names else None
    return value.tolist() if record is None else [record(*one) for one in value.tolist()]


def _as_arrays(value: Any) -> Any:
    """Writable and in one piece: each other kind of array would be compiled for by itself."""
    if isinstance(value, tuple):
        return type(value)(*map(_as_arrays, value))
    if isinstance(value, np.ndarray):
        return np.require(value, requirements=["C", "W"])
    return value


def _copy_back(filled: Any, into: Any) -> None:
    if isinstance(into, tuple):
        for one, other in zip(filled, into, strict=True):
            _copy_back(one, other)
    elif into.dtype.names:
        into[:] = [*map(attrgetter(*into.dtype.names), filled)]
    else:
        into[:] = filled
