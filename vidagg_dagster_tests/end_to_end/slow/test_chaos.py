"""A few rounds of `make chaos`: each fault at least once."""

import shutil
from pathlib import Path

import pytest

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.spark.session import use
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.chaos import FAULTS, Chaos
from vidagg_dagster_tests.support.small_site import Site, day, peter


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Chaos:
    require(SAIL)
    use(SAIL)
    return Chaos(tmp_path_factory.mktemp("chaos") / "rounds", seed=7)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=list(FAULTS))
def test_a_disturbed_run_ends_in_the_tables_of_an_undisturbed_one(
    chaos: Chaos, number: int
) -> None:
    use(SAIL)
    assert chaos.round(number).fault == list(FAULTS)[number]


def test_a_difference_would_be_found(chaos: Chaos, tmp_path: Path) -> None:
    """The comparison fires: a site whose source has changed is not run again."""
    use(SAIL)
    shutil.copytree(chaos.base.folder, tmp_path / "site")
    site = Site(tmp_path / "site")
    site.write_day(day(0), peter(day(0)))
    with pytest.raises(AssertionError, match="differs"):
        chaos.compare(site, tmp_path)
