"""A project folder: its settings work from anywhere, and a demo's let nothing else in."""

import os
from pathlib import Path

import pytest
from dotenv import dotenv_values

from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.settings.project import make_home, open_project, write_settings


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("VIDAGG_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


def test_places_of_a_folder_are_told_so_that_they_mean_the_same_anywhere(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    for name in ("audience.csv", "chapters.csv", "users.csv"):
        (tmp_path / name).touch()
    written = {
        "VIDAGG_SOURCE": "events",
        "VIDAGG_VIDEO_METADATA": "main.raw.videos",
        "VIDAGG_DATA_ROOT": "tables",
        "VIDAGG_AUDIENCE": "audience.csv",
        "VIDAGG_CHAPTERS": "chapters.csv",
        "VIDAGG_USERS": "users.csv",
        "VIDAGG_COHORT_BY": "plan",
    }
    write_settings(tmp_path, written, "of a test")
    project = open_project(tmp_path)
    assert project.environment["VIDAGG_AUDIENCE"] == str(tmp_path / "audience.csv")
    assert project.environment["VIDAGG_CHAPTERS"] == str(tmp_path / "chapters.csv")
    assert project.environment["VIDAGG_USERS"] == str(tmp_path / "users.csv")
    assert project.environment["VIDAGG_SOURCE"] == str(tmp_path / "events")
    assert project.environment["VIDAGG_VIDEO_METADATA"] == "main.raw.videos"
    assert project.environment["VIDAGG_DATA_ROOT"] == str(tmp_path / "tables")
    assert project.environment["DAGSTER_HOME"] == str(tmp_path / "dagster_home")


def test_the_variables_of_this_process_count_unless_the_project_is_isolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(tmp_path, {"VIDAGG_ENGINE": "sail"}, "of a test")
    monkeypatch.setenv("VIDAGG_TIMEZONE", "Asia/Tokyo")
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    project = open_project(tmp_path)
    assert project.settings.timezone == "Asia/Tokyo"
    assert project.home == Path("/elsewhere")
    isolated = open_project(tmp_path, isolated=True)
    assert isolated.settings.timezone == "UTC"
    assert isolated.home == tmp_path / "dagster_home"
    assert "VIDAGG_TIMEZONE" not in isolated.environment


def test_a_wrong_setting_is_named_before_anything_starts(tmp_path: Path) -> None:
    write_settings(tmp_path, {"VIDAGG_TIMEZONE": "Mars"}, "of a test")
    with pytest.raises(SettingsError, match="VIDAGG_TIMEZONE"):
        open_project(tmp_path)


@pytest.mark.parametrize(
    "value", ["plain", "with blank", "it's", 'say "x"', "a=b|c d,e=f", "#no comment", r"back\slash"]
)
def test_a_value_is_read_back_as_it_was_written(tmp_path: Path, value: str) -> None:
    file = write_settings(tmp_path, {"VIDAGG_SOURCE": value}, "of a test")
    assert dotenv_values(file) == {"VIDAGG_SOURCE": value}


def test_a_home_that_is_configured_already_is_left_as_it_is(tmp_path: Path) -> None:
    make_home(tmp_path / "home")
    configuration = tmp_path / "home" / "dagster.yaml"
    assert "telemetry" in configuration.read_text(encoding="utf-8")
    configuration.write_text("mine: 1\n")
    make_home(tmp_path / "home")
    assert configuration.read_text() == "mine: 1\n"
