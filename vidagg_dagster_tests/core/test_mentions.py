"""An id is found as a word of its own, however it is escaped, and other ids are left alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidagg_dagster.core.mentions import ERASED, Mentions


@pytest.mark.parametrize(
    "text",
    [
        "alice",
        '{"userId": "alice"}',
        "alice,s1,v1",
        "userId='alice' is repeated",
        "line\\nalice",
        "/u/alice/videos",
    ],
)
def test_a_mention_is_found_and_erased(text: str) -> None:
    mentions = Mentions("alice")
    assert mentions.may_be_in(text.encode())
    assert mentions.found_in(text)
    assert mentions.erased_from(text) == text.replace("alice", ERASED)


@pytest.mark.parametrize("text", ["malice", "alice2", "alice-2", "x-alice", "alice_b", "Alice"])
def test_a_part_of_another_word_is_no_mention(text: str) -> None:
    assert not Mentions("alice").found_in(text)
    assert Mentions("alice").erased_from(text) == text


@given(st.text(min_size=1, max_size=20).filter(lambda t: t == t.strip()))
def test_every_id_is_found_as_json_writes_it(user: str) -> None:
    mentions = Mentions(user)
    for ascii_only in (True, False):
        once = json.dumps({"userId": user}, ensure_ascii=ascii_only)
        twice = json.dumps({"message": once}, ensure_ascii=ascii_only)
        for text in (once, twice):
            assert mentions.found_in(text)
            assert not mentions.found_in(mentions.erased_from(text).replace(ERASED, ""))
