"""What the engine may not use, so that it runs on JVM Spark, Spark Connect, Sail and serverless."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vidagg_dagster

PACKAGE = Path(vidagg_dagster.__file__).parent
ENGINE = sorted((PACKAGE / "engine").glob("*.py"))
# Starting the JVM is the one place that must speak of it.
STARTS_ENGINES = {"session.py"}
FORBIDDEN = {
    "rdd": "no RDD on Spark Connect and serverless",
    "sparkContext": "no SparkContext on Spark Connect and serverless",
    "_jvm": "no JVM behind Spark Connect",
    "_jdf": "no JVM behind Spark Connect",
    "cache": "refused on serverless",
    "persist": "refused on serverless",
    "createGlobalTempView": "refused on serverless",
    "createOrReplaceGlobalTempView": "refused on serverless",
    "udf": "Python workers: slow, and another Python on the cluster",
    "pandas_udf": "Python workers: slow, and another Python on the cluster",
    "mapInPandas": "Python workers: slow, and another Python on the cluster",
}


def forbidden_names(source: str) -> list[str]:
    return [
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN
    ]


@pytest.mark.parametrize("module", ENGINE, ids=lambda path: path.name)
def test_the_engine_uses_only_what_every_engine_has(module: Path) -> None:
    if module.name not in STARTS_ENGINES:
        assert forbidden_names(module.read_text()) == []


def test_a_forbidden_name_would_be_found() -> None:
    assert forbidden_names("frame.rdd.map(f).cache()") == ["cache", "rdd"]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_engine_imports_with_dagster_blocked() -> None:
    modules = [f"vidagg_dagster.engine.{path.stem}" for path in ENGINE]
    print(
        run_python(
            "import importlib, sys\n"
            "sys.modules['dagster'] = None\n"
            f"for name in {[*modules, 'vidagg_dagster.pipeline.batch', 'vidagg_dagster.aggregator']}:\n"
            "    importlib.import_module(name)\n"
        )
    )


def test_nothing_starts_at_import() -> None:
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
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
