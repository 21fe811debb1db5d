"""A real `dagster dev` as a process, and the GraphQL queries of its UI."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

START_S = 120
BACKFILL_S = 600


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A command in the background, and its log. It is interrupted when the block ends."""
    log = cwd / f"{Path(command[0]).name}-{free_port()}.log"
    with log.open("w") as out:
        started = subprocess.Popen(
            command, cwd=cwd, env=env, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield started, log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGINT)
        try:
            started.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def serving(
    command: Sequence[str], port: int, *, cwd: Path, env: Mapping[str, str]
) -> Iterator[str]:
    """Run a command that serves Dagster's UI on `port`; yields the address once it answers."""
    address = f"http://127.0.0.1:{port}"
    with process(command, cwd=cwd, env=env) as (server, log):
        deadline = time.monotonic() + START_S
        while not answers(address):
            assert server.poll() is None, f"{command} ended:\n{log.read_text()[-3000:]}"
            if time.monotonic() > deadline:
                pytest.fail(f"no UI after {START_S} s:\n{log.read_text()[-3000:]}")
            time.sleep(1)
        yield address


def answers(address: str) -> bool:
    """Whether Dagster's UI is at the address."""
    try:
        with urllib.request.urlopen(f"{address}/server_info") as answer:
            return "dagster_webserver_version" in json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return False


def ask(address: str, query: str, **variables: Any) -> Any:
    """The `data` of a GraphQL query."""
    request = urllib.request.Request(
        f"{address}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{error}: {error.read().decode()}")
    assert "errors" not in body, body["errors"]
    return body["data"]


def _span(ranges: Sequence[Mapping[str, str]] | None) -> tuple[date, date] | None:
    if not ranges:
        return None
    return (
        date.fromisoformat(min(found["start"] for found in ranges)),
        date.fromisoformat(max(found["end"] for found in ranges)),
    )


class Ui:
    """The asset pages of one code location: what they start and show."""

    def __init__(self, address: str) -> None:
        self.address = address

    def backfill(self, days: Sequence[date], assets: Sequence[str]) -> list[Any]:
        """Launch a backfill, wait for its success and return its runs."""
        found = self.ended(self.launch(days, assets))
        assert found["status"] == "COMPLETED_SUCCESS", found
        runs: list[Any] = found["runs"]
        return runs

    def backfill_preview(
        self, days: Sequence[date], assets: Sequence[str]
    ) -> dict[str, tuple[date, date] | None]:
        """What the dialog says of each asset: its first and last day; None: no partitions."""
        found = ask(
            self.address,
            """query($params: AssetBackfillPreviewParams!) {
                assetBackfillPreview(params: $params) {
                    assetKey { path }
                    partitions { ranges { start end } }
                }
            }""",
            params={
                "assetSelection": [{"path": [name]} for name in assets],
                "partitionNames": [when.isoformat() for when in days],
            },
        )["assetBackfillPreview"]
        return {
            asset["assetKey"]["path"][0]: _span((asset["partitions"] or {}).get("ranges"))
            for asset in found
        }

    def launch(self, days: Sequence[date], assets: Sequence[str]) -> str:
        """Launch a backfill and return its id."""
        launched = ask(
            self.address,
            """mutation($params: LaunchBackfillParams!) {
                launchPartitionBackfill(backfillParams: $params) {
                    __typename
                    ... on LaunchBackfillSuccess { backfillId }
                    ... on PythonError { message }
                }
            }""",
            params={
                "assetSelection": [{"path": [name]} for name in assets],
                "partitionNames": [when.isoformat() for when in days],
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        backfill: str = launched["backfillId"]
        return backfill

    def state(self, backfill: str) -> Any:
        """Status, error and runs of a backfill."""
        return ask(
            self.address,
            """query($id: String!) {
                partitionBackfillOrError(backfillId: $id) {
                    ... on PartitionBackfill {
                        status
                        error { message }
                        runs { id status assetSelection { path } tags { key value } }
                    }
                }
            }""",
            id=backfill,
        )["partitionBackfillOrError"]

    def ended(self, backfill: str) -> Any:
        """The state of a backfill once it has ended."""
        deadline = time.monotonic() + BACKFILL_S
        while time.monotonic() < deadline:
            found = self.state(backfill)
            if found["status"] not in ("REQUESTED", "CANCELING", "COMPLETING", "FAILING"):
                return found
            time.sleep(1)
        pytest.fail(f"the backfill did not end within {BACKFILL_S} s: {found}")

    def terminate(self, run: str) -> None:
        """Terminate a run, as the button of its page does."""
        ended = ask(
            self.address,
            """mutation($id: String!) {
                terminateRun(runId: $id) {
                    __typename
                    ... on TerminateRunFailure { message }
                }
            }""",
            id=run,
        )["terminateRun"]
        assert ended["__typename"] == "TerminateRunSuccess", ended

    def materialized_days(self, asset: str) -> int:
        stats = ask(
            self.address,
            """query($key: AssetKeyInput!) {
                assetNodeOrError(assetKey: $key) {
                    ... on AssetNode { partitionStats { numMaterialized numFailed } }
                }
            }""",
            key={"path": [asset]},
        )["assetNodeOrError"]["partitionStats"]
        assert stats["numFailed"] == 0
        materialized: int = stats["numMaterialized"]
        return materialized

    def rows_shown(self, asset: str, when: date) -> int:
        """The row count that the asset's page shows for a day."""
        found = ask(
            self.address,
            """query($key: AssetKeyInput!, $partitions: [String!]) {
                assetNodeOrError(assetKey: $key) {
                    ... on AssetNode {
                        assetMaterializations(partitions: $partitions, limit: 1) {
                            metadataEntries { label ... on IntMetadataEntry { intValue } }
                        }
                    }
                }
            }""",
            key={"path": [asset]},
            partitions=[when.isoformat()],
        )["assetNodeOrError"]["assetMaterializations"]
        entries = {entry["label"]: entry.get("intValue") for entry in found[0]["metadataEntries"]}
        rows: int = entries["dagster/partition_row_count"]
        return rows

    def days_of_check(self, asset: str, check: str) -> dict[str, int]:
        """Number of days by status of a check."""
        found = ask(
            self.address,
            """query($key: AssetKeyInput!, $name: String!) {
                assetCheckExecutions(assetKey: $key, checkName: $name, limit: 100) {
                    status
                    evaluation { partition }
                }
            }""",
            key={"path": [asset]},
            name=check,
        )["assetCheckExecutions"]
        latest: dict[str, str] = {}
        for execution in found:  # newest first
            partition = (execution["evaluation"] or {}).get("partition")
            if partition:
                latest.setdefault(partition, execution["status"])
        return {status: list(latest.values()).count(status) for status in set(latest.values())}
