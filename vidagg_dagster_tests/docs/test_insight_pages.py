"""The pages on experiments, completion and cohorts show what the package draws."""

from pathlib import Path

from tools.cohorts_picture import made_up
from tools.cohorts_picture import page as page_of_cohorts
from tools.insight_pictures import FOLDER, pictures
from vidagg_dagster.report.gather import read_page
from vidagg_dagster.report.language import language
from vidagg_dagster.report.scope import Scope
from vidagg_dagster_tests.support.report_site import write_tables
from vidagg_dagster_tests.support.repository import REPO


def test_the_pictures_are_what_the_package_draws() -> None:
    for name, text in pictures().items():
        assert (REPO / FOLDER / name).read_text("utf-8") == text, "run: make docs"


def test_the_page_behind_the_picture_of_cohorts_has_the_columns_of_the_queries(
    tmp_path: Path,
) -> None:
    answers = read_page(write_tables(tmp_path), Scope(), language("en"), with_users=False).answers
    for name, rows in made_up().items():
        missing = set(rows[0]) - set(answers[name].columns)
        assert not missing, name
    page = page_of_cohorts()
    for shown in ('id="reach"', "By plan", "(not told)", "62.7"):
        assert shown in page
