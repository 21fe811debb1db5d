"""The hash that assigns units: the same in Python, in JavaScript, and on the page."""

import json
import re
import shutil
import subprocess
from collections import Counter

import pytest
from pydantic import ValidationError

from vidagg_dagster.insight.experiments.allocation import Allocation, bucket
from vidagg_dagster_tests.support.repository import REPO

UNITS = ["peter", "anna", "user-00042", "Jürgen", "山田", "", "a:b"]
PAGE = REPO / "docs" / "experiments.md"


def page_vectors() -> list[tuple[str, str, int]]:
    rows = re.findall(r"^\| `(.*?)` \| `(.*?)` \| (\d+) \|$", PAGE.read_text("utf-8"), re.M)
    return [(salt, unit, int(number)) for salt, unit, number in rows]


def test_the_page_s_vectors_are_what_python_computes() -> None:
    vectors = page_vectors()
    assert len(vectors) >= 5
    assert [(salt, unit, bucket(salt, unit)) for salt, unit, _ in vectors] == vectors


def test_the_page_s_javascript_computes_the_same() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here to run the page's JavaScript with")
    [script] = re.findall(r"```js\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    asked = json.dumps([["player-2", unit] for unit in UNITS])
    call = f"Promise.all({asked}.map(p => bucket(...p))).then(b => console.log(JSON.stringify(b)))"
    done = subprocess.run(
        [node, "-e", f"{script}\n{call}"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [bucket("player-2", unit) for unit in UNITS]


def test_units_spread_evenly_and_another_salt_is_independent() -> None:
    allocation = Allocation.parse("control=50,treatment=50")
    arms = [
        tuple(allocation.variant(bucket(salt, f"user-{n}")) for salt in ("one", "two"))
        for n in range(20_000)
    ]
    counts = Counter(arms)
    assert len(counts) == 4
    assert all(abs(count - 5_000) < 300 for count in counts.values())


def test_shares_take_the_buckets_in_their_order() -> None:
    allocation = Allocation.parse("control=10, new=0.25")
    found = [allocation.variant(number) for number in (0, 999, 1000, 1024, 1025, 9999)]
    assert found == ["control", "control", "new", "new", None, None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("control", "NAME=PERCENT"),
        ("control=50", "two variants"),
        ("control=50,control=50", "twice"),
        ("control=60,new=50", "more than 100"),
        ("control=0,new=50", "above 0"),
        ("control=50,new=0.001", "two places"),
    ],
)
def test_impossible_shares_are_refused(text: str, said: str) -> None:
    with pytest.raises((ValueError, ValidationError), match=said):
        Allocation.parse(text)
