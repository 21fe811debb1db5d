"""What an earlier demo has left in its folder."""

from datetime import date
from pathlib import Path

import pytest

from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.demo.run import demo_settings, remove_other_demo
from vidagg_dagster.settings.opened import only_ui
from vidagg_dagster.settings.project import DEFAULT_HOME, write_settings

NOW = demo_settings("sail", date(2026, 1, 5))


@pytest.mark.parametrize(
    ("before", "stays"),
    [
        (NOW, True),
        (NOW | {"VIDAGG_ENGINE": "spark"}, True),
        (NOW | {"VIDAGG_START_DATE": "2026-01-04"}, False),
        ({name: value for name, value in NOW.items() if name != "VIDAGG_CHAPTERS"}, False),
    ],
    ids=["same", "another engine", "other days", "an earlier version"],
)
def test_tables_of_another_demo_go_and_of_the_same_one_stay(
    tmp_path: Path, before: dict[str, str], stays: bool
) -> None:
    for name in ("tables", DEFAULT_HOME):
        (tmp_path / name / "of_before").mkdir(parents=True)
    write_settings(tmp_path, before, "Before.")
    remove_other_demo(tmp_path, NOW)
    assert [(tmp_path / name).exists() for name in ("tables", DEFAULT_HOME)] == [stays, stays]


def test_nothing_is_removed_under_an_open_ui(tmp_path: Path) -> None:
    home = tmp_path / DEFAULT_HOME
    home.mkdir()
    write_settings(tmp_path, NOW | {"VIDAGG_START_DATE": "2026-01-04"}, "Before.")
    with only_ui(home, "http://localhost:3111"), pytest.raises(BadInputError, match="3111"):
        remove_other_demo(tmp_path, NOW)
    assert home.exists()
