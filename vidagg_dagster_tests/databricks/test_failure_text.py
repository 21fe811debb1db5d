"""What a failed task says cannot leave its block."""

import pytest

from vidagg_dagster.databricks.failures import fenced


@pytest.mark.parametrize("ticks", [0, 1, 3, 4, 10])
def test_a_trace_cannot_end_its_block(ticks: int) -> None:
    text = f"{'`' * ticks}\n![picture](https://elsewhere.example/x.png)\n{'`' * ticks}"
    first, *within, last = fenced(text).splitlines()
    assert first == last
    assert set(first) == {"`"}
    assert len(first) >= 3
    assert all(first not in line for line in within)
