from collections.abc import Callable

import pytest

from vidagg_dagster.core.errors import TableConflictError, TableError
from vidagg_dagster.tables.retry import retry_conflicts


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("vidagg_dagster.tables.retry.time.sleep", waited.append)
    return waited


def losing(times: int, error: type[TableError] = TableConflictError) -> Callable[[], int]:
    """An operation that raises so many times, then gives the number of its call."""
    calls = 0

    def operation() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error(f"lost in call {calls}")
        return calls

    return operation


def test_a_conflict_is_tried_again_after_growing_waits(waits: list[float]) -> None:
    assert retry_conflicts(losing(3), attempts=4, max_wait_s=2.0) == 4
    assert len(waits) == 3
    assert all(0.2 * n <= wait <= 2.0 * n for n, wait in enumerate(waits, start=1))


def test_the_last_conflict_is_raised(waits: list[float]) -> None:
    with pytest.raises(TableConflictError, match="call 3"):
        retry_conflicts(losing(9), attempts=3)
    assert len(waits) == 2


def test_another_error_is_raised_at_once(waits: list[float]) -> None:
    with pytest.raises(TableError, match="call 1"):
        retry_conflicts(losing(1, TableError), attempts=3)
    assert waits == []
