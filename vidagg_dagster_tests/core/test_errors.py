from vidagg_dagster.core import errors
from vidagg_dagster_tests.support.errors import ERRORS


def test_every_error_is_a_vidagg_error() -> None:
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert defined == set(ERRORS)


def test_only_a_conflict_of_writers_and_who_is_busy_may_pass_by_itself() -> None:
    assert {kind for kind in ERRORS if kind.retryable} == {
        errors.TableConflictError,
        errors.SourceBusyError,
        errors.ExportBusyError,
    }
