"""The resources of the asset bundle, read by the types of Databricks' own package for bundles.

Its types are generated from the schema of the command line `databricks`. The package is not under
an open licence, so that it is installed for this test only.
"""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vidagg_dagster_tests.conftest import TESTS
from vidagg_dagster_tests.support.interpreters import environment
from vidagg_dagster_tests.support.repository import REPO

PACKAGE = "databricks-bundles==1.22.1"
RESOURCES: dict[str, Any] = yaml.safe_load((REPO / "deploy" / "databricks.yml").read_text())[
    "resources"
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("bundles") / "env", sys.executable, PACKAGE)


def read(python: Path, resources: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(python), "-I", str(TESTS / "support" / "bundle_types.py")],
        input=json.dumps(resources),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_types_know_every_resource(python: Path) -> None:
    told = read(python, RESOURCES)
    assert told.stdout == "known\n", told.stderr


@pytest.mark.parametrize(
    ("kind", "name", "change", "said"),
    [
        ("schemas", "tables", {"catalogue_name": "main"}, "Unexpected field 'catalogue_name'"),
        ("schemas", "tables", {"grants": [{"principals": "x"}]}, "Unexpected field 'principals'"),
        ("schemas", "tables", {"grants": [{"privileges": ["CREATE_TABEL"]}]}, "CREATE_TABEL"),
        ("volumes", "files", {"volume_type": "MANAGD"}, "MANAGD"),
        ("volumes", "files", {"size": 1}, "Unexpected field 'size'"),
    ],
)
def test_what_they_do_not_know_is_refused(
    python: Path, kind: str, name: str, change: dict[str, Any], said: str
) -> None:
    resources = copy.deepcopy(RESOURCES)
    resources[kind][name] |= change
    told = read(python, resources)
    assert told.returncode != 0
    assert said in told.stderr


def test_a_resource_without_its_name_is_refused(python: Path) -> None:
    resources = copy.deepcopy(RESOURCES)
    del resources["volumes"]["files"]["name"]
    assert "missing 1 required keyword-only argument: 'name'" in read(python, resources).stderr
