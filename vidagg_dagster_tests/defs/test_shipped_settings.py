"""The settings of Dagster and of the containers that are shipped bound what would grow or hang."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus

from vidagg_dagster_tests.support.repository import REPO

DEPLOY = REPO / "deploy"


def services() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"])


def test_dagster_ends_runs_that_hang_and_forgets_ticks(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((REPO / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 43_200
        for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR):
            kept = instance.get_tick_retention_settings(kind)
            assert set(kept) >= set(TickStatus)
            assert all(0 < days <= 90 for days in kept.values())


def test_containers_have_no_rights_and_bounds_that_they_do_not_need() -> None:
    for name, service in services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
    assert "cap_add" not in services()["code"]


def test_images_are_named_by_exact_versions_and_the_build_is_held() -> None:
    recipe = (DEPLOY / "Dockerfile").read_text()
    images = [*re.findall(r"^FROM (\S+)", recipe, re.M), services()["postgres"]["image"]]
    assert all(re.fullmatch(r"\w+:\d+\.\d+(\.\d+)?(-[a-z]+)+", image) for image in images), images
    held = "PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt"
    assert held in recipe
    assert re.search(r"^setuptools==\d", (REPO / "constraints.txt").read_text(), re.M)
