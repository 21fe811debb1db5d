"""The marimo notebook of `examples/` runs, and comes to what the Databricks notebook comes to."""

import runpy

import pytest

from vidagg_dagster_tests.docs.test_examples import DROP_OFF, EXAMPLES, POWER_USERS, TOP_VIDEOS
from vidagg_dagster_tests.support import peter


def test_the_marimo_notebook_runs_and_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_ENGINE", "sail")
    app = runpy.run_path(str(EXAMPLES / "walk_through.py"))["app"]
    _, found = app.run()
    of_peter = found["peter"].iloc[:, 0]
    expected = {name: value for name, value in peter.ROW.items() if name != "qualityFlags"}
    assert {name: of_peter[name] for name in expected} == expected
    top_videos = found["top_videos"].round(2)
    assert list(top_videos.itertuples(index=False, name=None)) == TOP_VIDEOS
    assert list(found["power_users"].itertuples(index=False, name=None)) == POWER_USERS
    assert set(found["drop_off"].itertuples(index=False, name=None)) == DROP_OFF
    assert set(found["wrong"].values()) == {0}
