"""Names of dimensions: how they are written, and which are refused."""

import pytest

from vidagg_dagster.core.dimensions import parse_dimensions, require_dimensions
from vidagg_dagster.core.schemas import (
    RAW_EVENTS,
    TABLES,
    TABLES_WITH_DIMENSIONS,
    with_dimensions,
)


def test_dimensions_are_names_and_where_they_differ_columns() -> None:
    text = " device, country = geo.country ,,course=a.b[0]"
    assert parse_dimensions(text) == {
        "device": None,
        "country": "geo.country",
        "course": "a.b[0]",
    }
    assert parse_dimensions("") == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("device=", "needs a name on both sides"),
        ("=x", "needs a name on both sides"),
        ("device,device=x", "named twice: device"),
        ("device,Device", "differ only in case"),
        ("a b", "no name of a column: a b"),
        ("1st", "no name of a column: 1st"),
        ("d-1", "no name of a column"),
        ("UserID", "columns of ours already: UserID; .*my_UserID=UserID"),
        ("watchMs", "columns of ours already"),
        ("currentTime", "columns of ours already"),
        (",".join(f"d{n}" for n in range(9)), "at most 8 dimensions, not 9"),
    ],
)
def test_impossible_dimensions_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_dimensions(text)


def test_as_many_as_eight_are_possible() -> None:
    assert len(require_dimensions({f"d{n}": None for n in range(8)})) == 8


def test_tables_get_a_column_for_each_behind_their_own_and_only_once() -> None:
    for table in TABLES_WITH_DIMENSIONS:
        added = with_dimensions(table, ("device", "country"))
        assert added.column_names == [*table.column_names, "device", "country"]
        assert with_dimensions(added, ("device", "country")) == added
        assert with_dimensions(table, ()) is table
    others = [table for table in TABLES.values() if table not in TABLES_WITH_DIMENSIONS]
    assert all(with_dimensions(table, ("device",)) is table for table in others)
    assert RAW_EVENTS.dimensions == ()
