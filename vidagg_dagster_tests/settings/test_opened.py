"""One UI at a time on a Dagster home."""

import subprocess
import sys
from pathlib import Path

import pytest

from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.settings.opened import only_ui, require_closed

ADDRESS = "http://localhost:3111"


def test_a_second_ui_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    with only_ui(tmp_path, ADDRESS):
        with pytest.raises(BadInputError, match=ADDRESS), only_ui(tmp_path, "http://localhost:1"):
            pass
        with pytest.raises(BadInputError, match=f"end it first .*{ADDRESS}"):
            require_closed(tmp_path)


def test_another_one_opens_when_the_first_has_ended(tmp_path: Path) -> None:
    require_closed(tmp_path)
    with only_ui(tmp_path, ADDRESS):
        pass
    require_closed(tmp_path)
    with (
        only_ui(tmp_path, "http://localhost:9"),
        pytest.raises(BadInputError, match=r"localhost:9$"),
        only_ui(tmp_path, ADDRESS),
    ):
        pass


def test_a_process_that_is_left_behind_keeps_the_home(tmp_path: Path) -> None:
    with only_ui(tmp_path, ADDRESS) as lock:
        waits = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    try:
        with pytest.raises(BadInputError):
            require_closed(tmp_path)
    finally:
        waits.communicate(b"\n")
    require_closed(tmp_path)
