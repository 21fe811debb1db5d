"""`vidagg assign`."""

import io
import sys

import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster.insight.experiments.allocation import Allocation, bucket

COMMAND = ["assign", "--experiment", "player-2", "--variants", "control=30,new=30"]
AT = ["--exposed-at", "2026-01-05T08:00:00"]


def assigned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, *more: str
) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main([*COMMAND, *AT, *more]) == 0
    return capsys.readouterr().out.splitlines()


def test_units_get_the_variant_of_their_bucket(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [f"user-{n}" for n in range(50)]
    header, *rows = assigned(capsys, monkeypatch, "\n".join([*users, ""]))
    assert header == "experiment,unitId,variant,exposedAt"
    allocation = Allocation.parse("control=30,new=30")
    expected = [(user, allocation.variant(bucket("player-2", user))) for user in users]
    assert rows == [
        f"player-2,{user},{variant},2026-01-05T08:00:00+00:00"
        for user, variant in expected
        if variant is not None
    ]
    assert len(rows) < len(users), "40 % are in no arm"


def test_another_salt_assigns_otherwise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join(f"user-{n}" for n in range(50))
    usual = assigned(capsys, monkeypatch, text)
    assert assigned(capsys, monkeypatch, text, "--salt", "other") != usual
    assert assigned(capsys, monkeypatch, text, "--salt", "player-2") == usual


def test_impossible_shares_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["assign", "--experiment", "e", "--variants", "control=60,new=60", "peter"])
    assert "more than 100 percent" in capsys.readouterr().err
