"""The command `vidagg kql`."""

from pathlib import Path

import pytest

from vidagg_dagster.azure.pack import QUERIES, Video, Window, render
from vidagg_dagster.cli.exit_codes import BAD_INPUT, FAILED
from vidagg_dagster.cli.main import main
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster_tests.support.kql_binder import require_binder
from vidagg_dagster_tests.support.small_site import day


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a developer's own .env."""
    monkeypatch.chdir(tmp_path)


def test_a_query_is_printed_as_it_is_to_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kql", "render", "user_video"]) == 0
    assert capsys.readouterr().out == render("user_video", "customevents")


def test_days_videos_and_thresholds_get_into_the_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDAGG_SESSION_TIMEOUT_MS", "60000")
    monkeypatch.setenv("VIDAGG_TIMEZONE", "Europe/Berlin")
    (tmp_path / "videos.csv").write_text(
        "\ufeffvideoId,duration,title\nv1,12.5,One\nv2,,\n", "utf-8"
    )
    days = ["--from", "2026-01-05", "--to", "2026-01-06"]
    options = ["--source", "appevents", *days, "--videos", "videos.csv"]
    assert main(["kql", "render", "top_videos", *options]) == 0
    printed = capsys.readouterr()
    assert printed.out == render(
        "top_videos",
        "appevents",
        Window(day(0), day(1)),
        parameters=EngagementParameters(session_timeout_ms=60_000),
        videos=[Video("v1", 12.5, "One"), Video("v2", 0.0, "")],
    )
    assert "days of UTC, not of Europe/Berlin" in printed.err


def test_all_queries_are_written_to_a_folder(tmp_path: Path) -> None:
    assert main(["kql", "render", "--out", str(tmp_path / "kql")]) == 0
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "kql").iterdir()}
    assert written == {f"{query}.kql": render(query, "customevents") for query in QUERIES}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render"], "name a query, one of user_video"),
        (["render", "top"], "invalid choice"),
        (["render", "user_video", "--from", "2026-01-05"], "--from and --to go together"),
        (
            ["render", "user_video", "--from", "2026-01-05", "--to", "2026-01-04"],
            "--to 2026-01-04 is before --from 2026-01-05",
        ),
        (["render", "user_video", "--from", "yesterday"], "'yesterday' is not a day YYYY-MM-DD"),
        (["render", "user_video", "--videos", "no.csv"], "--videos no.csv"),
        (["render", "user_video", "--videos", "lacking.csv"], "there is no column videoId"),
        (["render", "user_video", "--videos", "bad.csv"], "bad.csv, line 2: '5:00' is not a dura"),
        (["render", "--out", "bad.csv"], "--out bad.csv"),
        (["check", "no.kql"], "no.kql"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lacking.csv").write_text("id,duration\n", "utf-8")
    (tmp_path / "bad.csv").write_text("videoId,duration\nv,5:00\n", "utf-8")
    try:
        code = main(["kql", *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = capsys.readouterr()
    assert code == BAD_INPUT
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_files_are_checked_and_each_fault_has_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_binder()
    good, bad = tmp_path / "good.kql", tmp_path / "bad.kql"
    good.write_text("AppEvents\n| take 1\n", "utf-8")
    bad.write_text("AppEvents\n| where Neme == 'x'\n", "utf-8")
    assert main(["kql", "check", str(good)]) == 0
    assert main(["kql", "check", str(good), str(bad)]) == FAILED
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{bad}:2:9: KS142 ")
    assert printed.err.endswith("2 texts checked, 1 findings\n")
