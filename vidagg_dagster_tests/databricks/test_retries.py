"""Which errors of a task make Dagster try the step again."""

import pytest

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.databricks.runner import may_succeed_again
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
