"""Settings, runs and alerts for the tests of alerts."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from vidagg_dagster.alerts.causes import of_run
from vidagg_dagster.alerts.message import Alert, Cause
from vidagg_dagster.core.contract import Severity, StepName
from vidagg_dagster.defs.checks import check_specs
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.alerts import AlertSettings
from vidagg_dagster.settings.operations import OperationsSettings

UI = "http://ui.example:3000"


DAILY = dg.DailyPartitionsDefinition("2026-01-01")


ASSETS = [step.value for step in StepName]


SECRET_USER = "user-4711"


def settings(**channels: Any) -> Settings:
    return Settings(
        start_date=date(2026, 1, 1),
        operations=OperationsSettings(ui_url=UI),
        alerts=AlertSettings(**channels),
    )


def raw_events(*failed: str, error: Exception | None = None) -> dg.AssetsDefinition:
    """An asset with our name and checks. The checks in `failed` fail; `error` fails the asset."""

    @dg.asset(
        name="raw_events",
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs("raw_events", DAILY),
    )
    def asset() -> Iterator[Any]:
        if error is not None:
            raise error
        yield dg.MaterializeResult()
        for spec in check_specs("raw_events", DAILY):
            bad = spec.name in failed
            yield dg.AssetCheckResult(
                check_name=spec.name,
                passed=not bad,
                severity=dg.AssetCheckSeverity.ERROR
                if spec.blocking
                else dg.AssetCheckSeverity.WARN,
                metadata={
                    "violations": 11 if bad else 0,
                    "rejected": 11,
                    "share": 0.011,
                    "rejected:missing_user": 8,
                    "rejected:unknown_event": 2,
                    "rejected:malformed_row": 1,
                    "example": SECRET_USER,
                },
            )

    return asset


def run(
    instance: dg.DagsterInstance,
    asset: dg.AssetsDefinition,
    day: str = "2026-01-05",
    **more: Any,
) -> dg.DagsterRun:
    result = dg.materialize(
        [asset], instance=instance, partition_key=day, raise_on_error=False, **more
    )
    found = instance.get_run_by_id(result.run_id)
    assert found is not None
    return found


def told(instance: dg.DagsterInstance, ended: dg.DagsterRun) -> list[Alert]:
    return of_run(instance, ended, ASSETS, UI)


def an_alert(number: int = 0, **values: Any) -> Alert:
    return Alert(
        **{
            "cause": Cause.CHECK,
            "severity": Severity.WARN,
            "title": f"Check failed: <{number}> & more",
            "asset": "raw_events",
            "check": f"check_{number}",
            "day": date(2026, 1, 5),
            "counts": {"violations": 1234},
            "reasons": ("missing_user 8",),
            "what_to_do": "Look.",
            "link": f"{UI}/runs/1",
            **values,
        }
    )
