"""Runs: each is a process, with the states and the end that the Jobs API reports."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidagg_dagster_tests.support.fake_databricks.answers import Answer, bad_request, not_found
from vidagg_dagster_tests.support.fake_databricks.submission import Submission

BLOCKED = (
    "dagster",
    "dagster_databricks",
    "dagster_webserver",
    "databricks",
    "deltalake",
    "pysail",
)
"""Modules that a cluster need not have."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "JAVA_HOME", "TMPDIR")
_TASK_FAILED = ("CLIENT_ERROR", "RUN_EXECUTION_ERROR")
_PAGE_RUNS = 2
"""How many runs a page of a listing has; the API has 20."""
_GRACE_S = 5
_TASK_OFFSET = 1_000_000
"""Task runs have their own ids, apart from those of runs."""


@dataclass
class Run:
    """One submitted run."""

    id: int
    submission: Submission
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    cancelled: bool = False
    timed_out: bool = False
    problem: str = ""
    forced: tuple[str, str] | None = None
    """Type and code of the termination, instead of what fits its process."""
    ends: float | None = None
    states: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> Path:
        return self.folder / f"{self.id}.json"

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def state(self) -> dict[str, str]:
        if self.problem:
            return {
                "life_cycle_state": "INTERNAL_ERROR",
                "result_state": "FAILED",
                "state_message": self.problem,
            }
        if not self.ended:
            life = "TERMINATING" if self.cancelled else "RUNNING"
            return {"life_cycle_state": life, "state_message": "In run"}
        result, message = self._result()
        return {
            "life_cycle_state": "TERMINATED",
            "result_state": result,
            "state_message": message,
        }

    def _result(self) -> tuple[str, str]:
        if self.cancelled:
            return "CANCELED", "Run cancelled."
        if self.timed_out:
            return "TIMEDOUT", "Run timed out."
        assert self.process is not None
        if self.process.returncode == 0:
            return "SUCCESS", ""
        return "FAILED", "Workload failed, see run output for details"

    def status(self) -> dict[str, Any]:
        """As the API says it today; `state` is its older form."""
        if not self.ended and not self.problem:
            return {"state": "TERMINATING" if self.cancelled else "RUNNING"}
        kind, code = self._termination()
        return {"state": "TERMINATED", "termination_details": {"type": kind, "code": code}}

    def _termination(self) -> tuple[str, str]:
        if self.forced is not None:
            return self.forced
        if self.problem:
            return "CLIENT_ERROR", "LIBRARY_INSTALLATION_ERROR"
        if self.cancelled:
            return "SUCCESS", "USER_CANCELED"
        if self.timed_out:
            return "CLIENT_ERROR", "CANCELED"
        assert self.process is not None
        if self.process.returncode == 0:
            return "SUCCESS", "SUCCESS"
        killed = self.process.returncode < 0
        return ("INTERNAL_ERROR", "DRIVER_ERROR") if killed else _TASK_FAILED

    def output(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if self.outcome.exists():
            told = json.loads(self.outcome.read_text())
        elif self.process is not None and (self.process.poll() or 0) < 0 and not self.cancelled:
            told = {"error": "The Python process exited unexpectedly: the driver was killed"}
        return told


class Runs:
    """All runs of a workspace.

    Args:
        address: Address of the workspace, for the pages of runs.
        folder: Folder for the output of tasks.
        serverless: Environment variables that lead a serverless task to its Spark.
        classic: The same for a task on a cluster.
        environments: Serverless environments by version, each as the interpreter that a task has
            there instead of this one.
    """

    def __init__(
        self,
        folder: Path,
        serverless: Mapping[str, str],
        classic: Mapping[str, str],
        environments: Mapping[str, Path],
    ) -> None:
        self.address = ""
        self.all: dict[int, Run] = {}
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spark = {True: serverless, False: classic}
        self._environments = environments
        self._lock = threading.Lock()

    def submit(self, submission: Submission) -> Answer:
        with self._lock:
            known = [
                run.id
                for run in self.all.values()
                if submission.token and run.submission.token == submission.token
            ]
            if known:
                return Answer({"run_id": known[0]})
            run = Run(len(self.all) + 1, submission, self._folder)
            self.all[run.id] = run
            self._start(run)
        return Answer({"run_id": run.id})

    def get(self, run_id: int) -> Answer:
        run = self._run(run_id)
        state = run.state()
        return Answer(
            {
                "run_id": run.id,
                "run_name": run.submission.run_name,
                "run_page_url": f"{self.address}/jobs/runs/{run.id}",
                "state": state,
                "status": run.status(),
                "tasks": [
                    {
                        "run_id": run.id + _TASK_OFFSET,
                        "task_key": run.submission.task_key,
                        "state": state,
                    }
                ],
            }
        )

    def listing(self, query: Mapping[str, str]) -> Answer:
        """A page of the runs, the newest first."""
        chosen = [
            run
            for run in reversed(self.all.values())
            if query.get("active_only") != "true" or not run.ended
        ]
        first = int(query.get("page_token", 0))
        page = chosen[first : first + _PAGE_RUNS]
        more = first + _PAGE_RUNS < len(chosen)
        return Answer(
            {
                "runs": [
                    {
                        "run_id": run.id,
                        "run_name": run.submission.run_name,
                        "run_type": "SUBMIT_RUN",
                    }
                    for run in page
                ],
                **({"next_page_token": str(first + _PAGE_RUNS)} if more else {}),
            }
        )

    def output(self, run_id: int) -> Answer:
        if run_id < _TASK_OFFSET:
            raise bad_request(
                "Retrieving the output of runs with multiple tasks is not supported. Please "
                "retrieve the output of each individual task run instead."
            )
        run = self._run(run_id - _TASK_OFFSET)
        return Answer({"metadata": {"run_id": run_id, "state": run.state()}, **run.output()})

    def cancel(self, run_id: int) -> Answer:
        run = self._run(run_id)
        if not run.ended:
            run.cancelled = True
            threading.Thread(target=_end, args=(run,), daemon=True).start()
        return Answer({})

    def close(self) -> None:
        for run in self.all.values():
            _end(run)

    def _run(self, run_id: int) -> Run:
        if run_id not in self.all:
            raise not_found(f"Run {run_id}")
        return self.all[run_id]

    def _start(self, run: Run) -> None:
        task = run.submission
        missing = [wheel for wheel in task.wheels if not Path(wheel).is_file()]
        if missing or not task.wheels:
            run.problem = f"Library installation failed: {missing or 'no wheel'} not found"
            return
        own = self._environments.get(task.environment or "")
        python = str(own or sys.executable)
        order = {
            "package": task.package,
            "entry_point": task.entry_point,
            "parameters": task.parameters,
            "wheels": task.wheels,
            # An environment of its own has what it has.
            "blocked": [] if own else BLOCKED,
            "outcome": str(run.outcome),
        }
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        log = (self._folder / f"{run.id}.log").open("wb")
        run.process = subprocess.Popen(
            [
                python,
                str(Path(__file__).with_name("task_process.py")),
                json.dumps(order),
            ],
            cwd="/",
            env={
                **kept,
                **self._spark[task.environment is not None],
                "DATABRICKS_RUNTIME_VERSION": "17.3",
                "PYSPARK_PYTHON": python,
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        if task.timeout_seconds:
            threading.Thread(target=_time_out, args=(run,), daemon=True).start()


def _time_out(run: Run) -> None:
    assert run.process is not None
    try:
        run.process.wait(timeout=run.submission.timeout_seconds)
    except subprocess.TimeoutExpired:
        run.timed_out = True
        _end(run)


def _end(run: Run) -> None:
    """End the task with all its processes."""
    if run.process is None or run.process.poll() is not None:
        return
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(run.process.pid, kind)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _GRACE_S
        while run.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if run.process.poll() is not None:
            return
