"""Microsoft's binder for tests: what it is given, and where it cannot be had."""

import shutil
from collections.abc import Mapping

import pytest
from pyspark.sql import types as T

from vidagg_dagster.azure.check import binder_folder
from vidagg_dagster.azure.pack import QUERIES, SOURCES, render
from vidagg_dagster.core.errors import KqlCheckError
from vidagg_dagster_tests.support.repository import REPO

KQL_TYPES: Mapping[type[T.DataType], str] = {
    T.StringType: "string",
    T.DoubleType: "real",
    T.LongType: "long",
    T.BooleanType: "bool",
    T.TimestampType: "datetime",
    T.DateType: "datetime",
    T.ArrayType: "dynamic",
}
"""Type of a declared column -> the type of KQL that it has in Azure."""

BROKEN = {
    "a comparison of texts": ('customEvents | where name < "b"', "KS106"),
    "a reserved name": ('customEvents | extend flags = name | where flags == "a"', "KS228"),
    "an unknown column": ("customEvents | project videoId", "KS142"),
    "an unknown table": ("AppEventz | take 1", "KS"),
    "a row before in no order": (
        "customEvents | summarize n = count() by name | extend m = prev(n)",
        "UNSORTED",
    ),
    "an order that a join has lost": (
        "customEvents | sort by timestamp asc | join kind=inner (customEvents | take 1) on name "
        "| extend sum = row_cumsum(itemCount)",
        "UNSORTED",
    ),
    "another cluster": ('cluster("c").database("d").customEvents | take 1', "MONITOR"),
    "parameters of a query": (
        "declare query_parameters(n: long); customEvents | take n",
        "MONITOR",
    ),
}
"""Name of a fault -> a text with it, and how the code begins by which it must be found."""


def documented(language: str) -> str:
    """The one block of docs/azure.md in a language."""
    blocks = (REPO / "docs" / "azure.md").read_text("utf-8").split(f"```{language}\n")
    assert len(blocks) == 2
    return blocks[1].partition("```")[0]


TEXTS = {
    **{query: render(query, SOURCES[0]) for query in QUERIES},
    **{source: render("data_quality", source) for source in SOURCES},
    "bill": documented("kusto"),
    **{fault: text for fault, (text, _) in BROKEN.items()},
}
"""Every query on the first source, every source under a short query, and what is broken.

Queries see no source but through `RawEvents`, so each of them needs only one.
"""


def require_binder() -> None:
    """Skip the test where Node is missing, or npm cannot get the binder."""
    if shutil.which("node") is None:
        pytest.skip("KQL's binder: there is no Node here")
    try:
        binder_folder()
    except KqlCheckError as error:
        pytest.skip(f"KQL's binder: {error}")
