"""`vidagg demo` once more."""

from pathlib import Path

from vidagg_dagster_tests.support.demo_run import demo, table


def test_running_it_again_gives_the_same_rows(folder: Path, printed: str) -> None:
    assert printed
    names = {path.name for path in (folder / "tables").iterdir()}
    names.remove("source_inventory")  # its rows hold times of files
    before = {name: sorted(map(repr, table(folder, name).to_pylist())) for name in names}
    demo(folder)
    after = {name: sorted(map(repr, table(folder, name).to_pylist())) for name in names}
    assert after == before
