"""What becomes of an error of a step that runs in the process of the run."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from vidagg_dagster.core.contract import SAIL, SourceSpec, StepName, StepRequest, TableStore
from vidagg_dagster.core.errors import EngineError, VidaggError
from vidagg_dagster.core.schemas import EVENT_DATE, RAW_EVENTS
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


def run_failing(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(local, "resolve_engine", fail)
    LocalSteps().run(dg.build_asset_context(), request(folder))


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


PURGE = "MIMALLOC_PURGE_DELAY"


def kept_ms(wanted: StepRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """How long Sail would keep what it frees, in a process where this is the first step."""

    def begin(*_: object) -> None:
        raise EngineError("Sail would start now.")

    monkeypatch.delenv(PURGE, raising=False)
    monkeypatch.setattr(local, "is_running", lambda _: False)
    monkeypatch.setattr(local, "engine_session", begin)
    with pytest.raises(dg.Failure, match="would start now"):
        LocalSteps(engine=SAIL).run(dg.build_asset_context(), wanted)
    return os.environ.get(PURGE)


@pytest.mark.parametrize(("at_once", "kept"), [(3, "1000"), (2, None)])
def test_sail_keeps_pages_where_the_source_fits_into_memory(
    at_once: int, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "events.parquet"
    pq.write_table(pa.table({"userId": ["a", "b", "c"]}), source)
    changed = {"source": SourceSpec(location=str(source)), "events_at_once": at_once}
    wanted = request(tmp_path / "data").model_copy(update=changed)
    assert kept_ms(wanted, monkeypatch) == kept


@pytest.mark.parametrize(("at_once", "kept"), [(7, "1000"), (6, None)])
def test_sail_keeps_pages_where_the_largest_stored_day_fits(
    at_once: int, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    for day, rows in ((1, 4), (1, 3), (2, 5)):
        of_day = pa.table({"userId": ["a"] * rows, EVENT_DATE: [date(2026, 1, day)] * rows})
        place = folder / RAW_EVENTS.name
        write_deltalake(place, of_day, mode="append", partition_by=[EVENT_DATE])
    wanted = request(folder).model_copy(update={"events_at_once": at_once})
    assert kept_ms(wanted, monkeypatch) == kept


def test_sail_keeps_no_pages_where_the_size_of_days_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept_ms(request(tmp_path / "data"), monkeypatch) is None
    catalog = TableStore(kind="catalog", location="main.video")
    wanted = request(tmp_path).model_copy(update={"store": catalog})
    assert kept_ms(wanted, monkeypatch) is None
