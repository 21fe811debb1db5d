"""What steps may not use, so that they run on JVM Spark, Spark Connect, Sail and serverless."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vidagg_dagster

PACKAGE = Path(vidagg_dagster.__file__).parent
WINGS = ("core", "spark", "sources", "tables", "metrics", "quality", "insight", "pipeline")
"""The folders that a step consists of. They run on every engine, and without Dagster."""
IN_STEPS = sorted(path for wing in WINGS for path in (PACKAGE / wing).rglob("*.py"))
# The one module that must name the JVM, because it starts it.
STARTS_ENGINES = {PACKAGE / "spark" / "jvm.py"}
FORBIDDEN = {
    "rdd": "no RDD on Spark Connect and serverless",
    "sparkContext": "no SparkContext on Spark Connect and serverless",
    "_jvm": "no JVM behind Spark Connect",
    "_jdf": "no JVM behind Spark Connect",
    "cache": "refused on serverless",
    "persist": "refused on serverless",
    "createGlobalTempView": "refused on serverless",
    "createOrReplaceGlobalTempView": "refused on serverless",
    # A UDF gets one row at a time. mapInPandas gets batches, but turns each into pandas and back.
    # mapInArrow gets the batches as they are, so it is the one way into Python.
    "udf": "one row at a time: use mapInArrow",
    "pandas_udf": "copies every batch: use mapInArrow",
    "mapInPandas": "copies every batch: use mapInArrow",
}


def forbidden_names(source: str) -> list[str]:
    return [
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN
    ]


@pytest.mark.parametrize("module", IN_STEPS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_steps_use_only_what_every_engine_has(module: Path) -> None:
    if module not in STARTS_ENGINES:
        assert forbidden_names(module.read_text()) == []


def test_a_forbidden_name_would_be_found() -> None:
    assert forbidden_names("frame.rdd.map(f).cache()") == ["cache", "rdd"]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def test_steps_import_with_dagster_blocked() -> None:
    modules = [
        *(dotted(path) for path in IN_STEPS if path.name != "__init__.py"),
        "vidagg_dagster.aggregator",
        "vidagg_dagster.databricks.entrypoint",
    ]
    run_python(
        "import importlib, sys\n"
        "sys.modules['dagster'] = None\n"
        f"for name in {modules}:\n"
        "    importlib.import_module(name)\n"
    )


def test_nothing_starts_at_import() -> None:
    modules = [
        dotted(path)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]
    out = run_python(
        "import importlib, threading\n"
        f"for name in {modules}:\n"
        "    importlib.import_module(name)\n"
        "from pyspark.sql import SparkSession\n"
        "print(SparkSession.getActiveSession(), [t.name for t in threading.enumerate()])\n"
    )
    assert out.split() == ["None", "['MainThread']"]
