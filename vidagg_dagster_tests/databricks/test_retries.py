"""Which errors of a task make Dagster try the step again."""

import pytest
from databricks.sdk.service.jobs import TerminationDetails

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.databricks.failures import (
    MAX_TRACE_CHARACTERS,
    last_lines,
    may_succeed_again,
)
from vidagg_dagster_tests.support.errors import ERRORS


@pytest.mark.parametrize("kind", ERRORS)
def test_a_task_is_tried_again_where_its_error_says_so(kind: type[VidaggError]) -> None:
    assert may_succeed_again(f"{kind.__name__}: bad: x") is kind.retryable
    assert may_succeed_again(kind.__name__) is kind.retryable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ModuleNotFoundError: No module named 'vidagg_dagster'", False),
        ("OSError: no space left", True),
        ("TableErrorOfOthers: x", True),
        ("The cluster was lost: SourceError", True),
        ("", True),
    ],
)
def test_errors_that_are_not_ours_are_tried_again_unless_a_module_is_missing(
    text: str, expected: bool
) -> None:
    assert may_succeed_again(text) is expected


def test_an_error_class_that_is_added_counts_without_a_list_of_names() -> None:
    class AddedError(VidaggError):
        pass

    class PassingError(AddedError):
        retryable = True

    assert not may_succeed_again("AddedError: x")
    assert may_succeed_again("PassingError: x")


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("CLIENT_ERROR", "LIBRARY_INSTALLATION_ERROR", False),
        ("CLIENT_ERROR", "INVALID_CLUSTER_REQUEST", False),
        ("CLIENT_ERROR", "UNAUTHORIZED_ERROR", False),
        ("CLIENT_ERROR", "CANCELED", False),
        ("INTERNAL_ERROR", "CANCELED", False),
        ("CLIENT_ERROR", "CLUSTER_REQUEST_LIMIT_EXCEEDED", True),
        ("INTERNAL_ERROR", "DRIVER_ERROR", True),
        ("INTERNAL_ERROR", "INTERNAL_ERROR", True),
        ("CLOUD_FAILURE", "CLOUD_FAILURE", True),
    ],
)
def test_what_the_platform_says_of_the_end_decides_unless_the_task_itself_failed(
    kind: str, code: str, expected: bool
) -> None:
    ended = TerminationDetails.from_dict({"type": kind, "code": code})
    assert may_succeed_again("SourceError: x", ended) is expected
    assert may_succeed_again("OSError: x", ended) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("SourceError: x", False), ("OSError: no space left", True)]
)
def test_where_the_task_itself_failed_its_error_decides(text: str, expected: bool) -> None:
    ended = TerminationDetails.from_dict({"type": "CLIENT_ERROR", "code": "RUN_EXECUTION_ERROR"})
    assert may_succeed_again(text, ended) is expected


@pytest.mark.parametrize(
    "text",
    [
        "AnalysisException: [INSUFFICIENT_PERMISSIONS] no SELECT",
        "pyspark.errors.exceptions.connect.AnalysisException: x",
        "PySparkAttributeError: [JVM_ATTRIBUTE_NOT_SUPPORTED] _jdf",
    ],
)
def test_what_fails_the_same_way_every_time_is_not_tried_again(text: str) -> None:
    assert may_succeed_again(text) is False


def test_a_trace_is_cut_at_the_beginning_of_a_line() -> None:
    assert last_lines("short") == "short"
    trace = "\n".join(f"line {n} of the trace" for n in range(1000))
    cut = last_lines(trace)
    assert 0 < len(cut) <= MAX_TRACE_CHARACTERS
    assert cut.startswith("line ")
    assert trace.endswith(cut)
    assert len(last_lines("x" * 10_000)) == MAX_TRACE_CHARACTERS
