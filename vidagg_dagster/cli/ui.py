"""The command `vidagg ui`: Dagster's UI on the settings, tables and history of a folder."""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from vidagg_dagster.cli.arguments import add_command, add_folder, folder_of
from vidagg_dagster.core.errors import BadInputError

DEFAULT_PORT: Final = 3000
MODULE: Final = "vidagg_dagster.definitions"

_SUPERSEDED: Final = "ignore:Function `dev_command`"
"""Dagster warns at each start that `dg dev` is to replace `dagster dev`, which stays."""

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill`, and a terminal that is closed."""

_PATIENCE_S: Final = 5.0
"""Dagster takes about two seconds to end. By itself it waits a minute for each of its processes."""


def add_ui(commands: Any) -> None:
    """Add `ui` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "ui",
        help="open Dagster's UI on your events, or on the demo",
        description="Start Dagster's UI and its daemon with the settings of a folder's .env, until "
        "Ctrl-C. `vidagg init` writes that file, `vidagg demo` the one of the demo.",
        examples=("vidagg ui", "vidagg ui --demo", "vidagg ui --folder my_site --port 3001"),
    )
    add_folder(parser)
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port of the UI (%(default)s)"
    )
    parser.set_defaults(run=_ui)


def _ui(options: argparse.Namespace) -> int:
    from vidagg_dagster.settings.opened import only_ui
    from vidagg_dagster.settings.project import make_home, open_project

    folder = folder_of(options)
    _require_settings(folder, demo=options.demo)
    project = open_project(folder, isolated=options.demo)
    address = f"http://localhost:{options.port}"
    environment = {"VIDAGG_UI_URL": address, **project.environment}
    environment["PYTHONWARNINGS"] = ",".join(
        filter(None, (os.environ.get("PYTHONWARNINGS"), _SUPERSEDED))
    )
    make_home(project.home)
    with only_ui(project.home, address) as lock:
        _require_free(options.port)
        _begin_history(environment)
        print(f"Dagster's UI: {address} (in 10 to 20 seconds; Ctrl-C ends it)", flush=True)
        # In the home there is no other `.env` or dagster.yaml that Dagster would mix in.
        command = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "-p", str(options.port)]
        return _serve(command, project.home, environment, lock)


def _begin_history(environment: Mapping[str, str]) -> None:
    import dagster as dg

    from vidagg_dagster.runners.history import begin_retries

    os.environ.update(environment)
    with dg.DagsterInstance.get() as instance:
        begin_retries(instance)


def _serve(command: Sequence[str], folder: Path, environment: Mapping[str, str], lock: int) -> int:
    """Run Dagster until it ends. It inherits the lock, so that it keeps it if it is left behind.

    Raises:
        KeyboardInterrupt: It was told to end, and all its processes have ended.
    """
    # A shell has what it starts in the background ignore Ctrl-C, and Dagster would inherit that.
    for number in _ENDING:
        signal.signal(number, _interrupt)
    # A group of its own: the signal comes once, from here, and to whatever Dagster has started.
    with subprocess.Popen(
        command, cwd=folder, env=environment, process_group=0, pass_fds=[lock]
    ) as started:
        try:
            return started.wait()
        except KeyboardInterrupt:
            _end(started)
            raise


def _interrupt(*_: object) -> NoReturn:
    """Interrupts once: some send the signal to a process and to its group."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end(group: subprocess.Popen[bytes]) -> None:
    """End a group of processes: gently first, and then what is left of it."""
    os.killpg(group.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        group.wait(_PATIENCE_S)
    with suppress(ProcessLookupError):
        os.killpg(group.pid, signal.SIGKILL)


def _require_settings(folder: Path, *, demo: bool) -> None:
    """Refuse a folder in which nothing says where the events are."""
    if (folder / ".env").is_file():
        return
    if demo:
        raise BadInputError(f"no demo in {folder}; run vidagg demo first")
    if not folder.is_dir():
        raise BadInputError(f"there is no folder {folder}; run vidagg init first")
    if not os.environ.get("VIDAGG_SOURCE"):
        raise BadInputError(
            f"{folder.absolute()} has no .env and VIDAGG_SOURCE is not set; run vidagg init with a "
            "file of your events first, or vidagg ui --demo"
        )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # As the web server does, so that a port which only just became free counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise BadInputError(
                f"port {port} cannot be used ({error}); choose another one: --port {port + 1} "
                f"(make dev PORT={port + 1})"
            ) from None
