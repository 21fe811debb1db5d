"""A deployment as it runs every day: late events, alerts, a killed worker, two runs of one day.

It runs once as `dagster dev` with SQLite, and once as the processes of deploy/docker-compose.yml
with PostgreSQL. Each is one story, because a start costs half a minute.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.dagster_ui import Ui, ask, free_port, process, serving
from vidagg_dagster_tests.support.postgres import Postgres
from vidagg_dagster_tests.support.receivers import HttpReceiver, http_receiver
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, anna, event, peter, write_site

BIN = Path(sys.executable).parent
TODAY = datetime.now(UTC).date()
EVERY_ASSET = [str(step) for step in StepName]


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@dataclass(frozen=True)
class Deployment:
    ui: Ui
    site: Site
    alerts: HttpReceiver
    location: str

    def start_sensor(self, name: str) -> None:
        started = ask(
            self.ui.address,
            """mutation($selector: SensorSelector!) {
                startSensor(sensorSelector: $selector) {
                    __typename
                    ... on PythonError { message }
                }
            }""",
            selector={
                "sensorName": name,
                "repositoryName": "__repository__",
                "repositoryLocationName": self.location,
            },
        )["startSensor"]
        assert started["__typename"] == "Sensor", started

    def launch(self, day: date) -> str:
        launched = ask(
            self.ui.address,
            """mutation($params: ExecutionParams!) {
                launchRun(executionParams: $params) {
                    __typename
                    ... on LaunchRunSuccess { run { runId } }
                    ... on PythonError { message }
                }
            }""",
            params={
                "selector": {
                    "repositoryName": "__repository__",
                    "repositoryLocationName": self.location,
                    "pipelineName": "daily_engagement",
                },
                "executionMetadata": {
                    "tags": [{"key": "dagster/partition", "value": day.isoformat()}]
                },
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run: str = launched["run"]["runId"]
        return run

    def runs(self) -> list[Any]:
        """Newest first."""
        found: list[Any] = ask(
            self.ui.address,
            """query { runsOrError { ... on Runs { results {
                runId status startTime endTime tags { key value }
            } } } }""",
        )["runsOrError"]["results"]
        return found

    def run(self, run_id: str) -> Any:
        [found] = [run for run in self.runs() if run["runId"] == run_id]
        return found

    def worker(self, run_id: str) -> int | None:
        """The process of a run that has begun its first step."""
        events = ask(
            self.ui.address,
            """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
                __typename ... on MessageEvent { message }
            } } } }""",
            id=run_id,
        )["logsForRun"]["events"]
        texts = [event.get("message") or "" for event in events]
        if not any(event["__typename"] == "ExecutionStepStartEvent" for event in events):
            return None
        pids = [found[1] for text in texts if (found := re.search(r"\(pid: (\d+)\)", text))]
        return int(pids[0])


def tags(run: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def wait(what: str, found: Callable[[], Any], seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)
    return answer


def ended(run: Any) -> bool:
    return run["status"] in ("SUCCESS", "FAILURE", "CANCELED")


@contextmanager
def dagster_dev(site: Site, environment: Mapping[str, str]) -> Iterator[tuple[Ui, str]]:
    port = free_port()
    home = Path(environment["DAGSTER_HOME"])
    (home / "dagster.yaml").write_text((REPO / "dagster.yaml").read_text())
    command = [
        *(sys.executable, "-m", "dagster", "dev", "-p", str(port)),
        *("-w", str(REPO / "workspace.yaml")),
    ]
    with serving(command, port, cwd=site.folder, env=environment) as address:
        yield Ui(address), "vidagg_dagster.definitions"


@contextmanager
def composed(
    site: Site, environment: Mapping[str, str], postgres: Postgres
) -> Iterator[tuple[Ui, str]]:
    """The commands of the compose file as processes; only ports and hosts differ."""
    home = Path(environment["DAGSTER_HOME"])
    storage = (REPO / "deploy" / "postgres-storage.yaml").read_text()
    (home / "dagster.yaml").write_text(
        (REPO / "dagster.yaml").read_text()
        + storage.replace("port: 5432", f"port: {postgres.port}")
    )
    environment = {
        **environment,
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_USER": postgres.user,
        "DAGSTER_POSTGRES_PASSWORD": "unused",
        "DAGSTER_POSTGRES_DB": "postgres",
    }
    code_port, ui_port = free_port(), free_port()
    workspace = (REPO / "deploy" / "workspace.yaml").read_text()
    (site.folder / "workspace.yaml").write_text(
        workspace.replace("host: code", "host: 127.0.0.1").replace("4000", str(code_port))
    )
    services = yaml.safe_load((REPO / "deploy" / "docker-compose.yml").read_text())["services"]

    def here(words: list[str]) -> list[str]:
        given = {"0.0.0.0": "127.0.0.1", "4000": str(code_port), "3000": str(ui_port)}
        program, *arguments = words
        return [str(BIN / program), *(given.get(part, part) for part in arguments)]

    def command(service: str) -> list[str]:
        return here(services[service]["command"])

    def healthy() -> bool:
        kind, *words = services["code"]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(here(words), capture_output=True, check=False).returncode == 0

    with ExitStack() as stack:
        stack.enter_context(process(command("code"), cwd=site.folder, env=environment))
        wait("the code location", healthy)
        address = stack.enter_context(
            serving(command("webserver"), ui_port, cwd=site.folder, env=environment)
        )
        stack.enter_context(process(command("daemon"), cwd=site.folder, env=environment))
        yield Ui(address), "vidagg_dagster"


@pytest.fixture(params=["dagster dev, SQLite", "processes, PostgreSQL"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    require(SAIL)
    site = write_site(tmp_path, 0)
    for number in range(1, 5):
        site.write_day(ago(number), [*peter(ago(number)), *anna(ago(number)), "no row at all"])
    home = site.folder / "dagster_home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VIDAGG_", "DAGSTER_"))}
    with ExitStack() as stack:
        alerts = stack.enter_context(http_receiver(500))
        environment = {
            **kept,
            "DAGSTER_HOME": str(home),
            "VIDAGG_SOURCE": str(site.events),
            "VIDAGG_VIDEO_METADATA": str(site.videos),
            "VIDAGG_DATA_ROOT": str(site.tables),
            "VIDAGG_START_DATE": ago(6).isoformat(),
            "VIDAGG_ENGINE": SAIL,
            "VIDAGG_ALERT_WEBHOOK": alerts.address,
        }
        if "PostgreSQL" in request.param:
            postgres = request.getfixturevalue("postgres")
            running = composed(site, environment, postgres)
        else:
            running = dagster_dev(site, environment)
        ui, location = stack.enter_context(running)
        yield Deployment(ui, site, alerts, location)


def test_a_week_in_the_life_of_a_deployment(deployment: Deployment) -> None:
    ui, site, received = deployment.ui, deployment.site, deployment.alerts
    for sensor in ("alerts", "late_events"):
        deployment.start_sensor(sensor)

    def told(cause: str, **wanted: Any) -> list[Any]:
        return [
            body
            for body in received.taken
            if body["cause"] == cause and all(body[k] == v for k, v in wanted.items())
        ]

    # Nothing has run: yesterday (or, before its deadline, the day before) is missing. The receiver
    # fails first, so that this is a second try.
    wait("the alert of a missing day", lambda: told("missing_day"))
    assert received.asked >= 2

    ui.backfill([ago(number) for number in (4, 3, 2, 1)], EVERY_ASSET)
    wait("the alerts of rejected rows in green runs", lambda: len(told("check")) >= 4)
    rejected = told("check", asset="raw_events", check="rejected_share")
    assert sorted(body["day"] for body in rejected) == [ago(n).isoformat() for n in (4, 3, 2, 1)]
    assert rejected[0]["reasons"] == ["malformed_row 1"]
    assert not told("run")

    # Events of three days ago arrive, and the worker of the nightly run is killed.
    site.write_day(
        date(2000, 1, 1),
        [
            event(ago(3), "12:00:00", "late", "video_play", 0),
            event(ago(3), "12:00:20", "late", "video_pause", 20),
        ],
    )
    nightly = deployment.launch(ago(1))
    worker = wait("the first step of the run", lambda: deployment.worker(nightly))
    killed_at = time.time()
    os.kill(worker, signal.SIGKILL)

    def recovered() -> Any:
        again = [
            run
            for run in deployment.runs()
            if tags(run).get("dagster/parent_run_id") == nightly and run["status"] == "SUCCESS"
        ]
        return again[0] if again else None

    run = wait("the run to recover by itself", recovered)
    print(f"recovered {run['endTime'] - killed_at:.0f} s after the kill")
    assert deployment.run(nightly)["status"] == "FAILURE"

    # The recovered run has found them: their day runs again.
    def late_runs() -> list[Any]:
        return [run for run in deployment.runs() if tags(run).get("vidagg/cause") == "late_events"]

    wait("the run of the late days", late_runs)
    [late] = wait("the end of it", lambda: [r for r in late_runs() if ended(r)])
    assert late["status"] == "SUCCESS"
    assert tags(late)["dagster/partition"] == ago(3).isoformat()
    lifetime = DeltaTable(str(site.tables / "aggregated_user_video_engagement"))
    watched = {
        (row["userId"], row["videoId"]): row["totalWatchTime"]
        for row in lifetime.to_pyarrow_table().to_pylist()
    }
    assert watched["late", "video_001"] == 20.0
    assert watched["peter", "video_001"] == 4 * 130.0

    # Two runs that want the same day: one after the other.
    pair = [deployment.launch(ago(2)) for _ in range(2)]

    def both_ended() -> list[Any] | None:
        found = [deployment.run(launched) for launched in pair]
        return found if all(ended(run) for run in found) else None

    both = wait("the end of both runs of one day", both_ended, seconds=300)
    assert [run["status"] for run in both] == ["SUCCESS", "SUCCESS"]
    first, second = sorted(both, key=lambda run: run["startTime"])
    assert first["endTime"] <= second["startTime"]
    assert len(late_runs()) == 1

    # A source that is gone: one alert of the failed run, in plain words.
    (site.events).rename(site.folder / "elsewhere")
    failed = deployment.launch(ago(1))
    [body] = wait("the alert of a failed run", lambda: told("run"))
    assert failed in body["link"]
    assert body["reasons"][0].startswith("raw_events: Source not found: there is no file or folder")
    assert (body["asset"], body["day"]) == ("raw_events", ago(1).isoformat())
    everything = str(received.taken)
    assert not any(user in everything for user in ("peter", "anna", "late-"))
