"""`vidagg demo` once more, and in its whole size."""

from pathlib import Path

from tools.demo_picture import FIRST_DAY, PICTURE, picture
from vidagg_dagster_tests.support.demo_run import demo, table
from vidagg_dagster_tests.support.repository import REPO


def test_running_it_again_gives_the_same_rows(folder: Path, printed: str) -> None:
    assert printed
    names = {path.name for path in (folder / "tables").iterdir()}
    names.remove("source_inventory")  # its rows hold times of files
    before = {name: sorted(map(repr, table(folder, name).to_pylist())) for name in names}
    demo(folder)
    after = {name: sorted(map(repr, table(folder, name).to_pylist())) for name in names}
    assert after == before


def test_the_picture_of_the_readme_is_that_of_the_demo(tmp_path: Path) -> None:
    demo(tmp_path, "--first-day", FIRST_DAY)
    assert picture(tmp_path / "tables") == (REPO / PICTURE).read_text(encoding="utf-8")
