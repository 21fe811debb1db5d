"""Steps in the process of the run: what they set up, and what becomes of their errors."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from vidagg_dagster.core.contract import SAIL, SPARK, StepName, StepRequest, TableStore
from vidagg_dagster.core.errors import EngineError, VidaggError
from vidagg_dagster.runners import local
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster_tests.support.errors import ERRORS


def request(folder: Path) -> StepRequest:
    day = date(2026, 1, 1)
    return StepRequest(
        step=StepName.SESSIONS,
        days=(day,),
        start_date=day,
        timezone="UTC",
        run_time=datetime(2026, 1, 2, tzinfo=UTC),
        store=TableStore(kind="local", location=str(folder)),
    )


def run(steps: LocalSteps, step: StepRequest) -> None:
    # A context that is left open ends whenever Python collects it, also in the middle of a parse of
    # Python's own, which then fails.
    with dg.build_asset_context() as context:
        steps.run(context, step)


def run_failing(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(local, "resolve_engine", fail)
    run(LocalSteps(), request(folder))


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_of_ours_fails_the_step_in_its_own_words(
    kind: type[VidaggError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(dg.Failure) as failure:
        run_failing(kind("Do this."), tmp_path, monkeypatch)
    assert failure.value.description == "Do this."
    assert failure.value.__suppress_context__, "Dagster would print the whole chain before it"
    assert failure.value.allow_retries is kind.retryable


def test_a_full_disk_is_an_error_of_ours_whoever_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(dg.Failure, match="There is no space left in") as failure:
        run_failing(LookupError("x: No space left on device"), tmp_path, monkeypatch)
    assert failure.value.allow_retries is False


def test_another_error_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match="unexpected"):
        run_failing(LookupError("unexpected"), tmp_path, monkeypatch)


@pytest.mark.parametrize(("engine", "kept"), [(SAIL, "1"), (SPARK, None)])
def test_what_sail_frees_serves_the_steps_of_a_run_again(
    engine: str, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(*_: object) -> None:
        raise EngineError("The engine would start now.")

    monkeypatch.setenv("MIMALLOC_PURGE_DELAY", "")  # which brings back what was there before
    monkeypatch.delenv("MIMALLOC_PURGE_DELAY")
    monkeypatch.setattr(local, "engine_session", begin)
    with pytest.raises(dg.Failure, match="would start now"):
        run(LocalSteps(engine=engine), request(tmp_path))
    assert os.environ.get("MIMALLOC_PURGE_DELAY") == kept
