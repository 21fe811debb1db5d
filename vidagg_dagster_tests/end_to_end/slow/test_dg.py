"""Dagster's own command `dg`, in the checkout."""

import os
import subprocess
import sys
from pathlib import Path

from deltalake import DeltaTable

from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.settings.project import make_home
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import FIRST_DAY, write_site

BIN = Path(sys.executable).parent


def test_dg_checks_and_launches_what_the_checkout_defines(tmp_path: Path) -> None:
    site, home = write_site(tmp_path / "site", 1), tmp_path / "home"
    make_home(home)
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "VIDAGG_SOURCE": str(site.events),
        "VIDAGG_DATA_ROOT": str(site.tables),
        "VIDAGG_START_DATE": FIRST_DAY.isoformat(),
        "VIDAGG_ENGINE": "sail",
    }
    for arguments in (
        ["check", "defs"],
        ["launch", "--assets", RAW_EVENTS.name, "--partition", FIRST_DAY.isoformat()],
    ):
        done = subprocess.run(
            [BIN / "dg", *arguments],
            cwd=REPO,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert DeltaTable(str(site.tables / RAW_EVENTS.name)).to_pyarrow_table().num_rows
