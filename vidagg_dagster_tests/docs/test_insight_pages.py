"""The pages on experiments show what the package draws."""

from tools.insight_pictures import FOLDER, pictures
from vidagg_dagster_tests.support.repository import REPO


def test_the_pictures_are_what_the_package_draws() -> None:
    for name, text in pictures().items():
        assert (REPO / FOLDER / name).read_text("utf-8") == text, "run: make docs"
