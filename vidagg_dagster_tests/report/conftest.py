"""What the tests of the page share: its tables, the page, and a browser that shows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vidagg_dagster.report.page import write_page
from vidagg_dagster.report.scope import Scope
from vidagg_dagster_tests.support.report_browser import Shown, browser
from vidagg_dagster_tests.support.report_site import write_tables


@pytest.fixture(scope="package")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="package")
def page_file(tables: Path) -> Path:
    file = tables.parent / f"{tables.name}.html"
    write_page(tables, file, scope=Scope())
    return file


@pytest.fixture(scope="package")
def shown() -> Iterator[Shown]:
    with browser() as running:
        yield Shown(running)
