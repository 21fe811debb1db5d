"""Arrow columns and Parquet files that mention an id."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vidagg_dagster.core.mentions import Mentions


def parquet_mentions(path: Path, mentions: Mentions) -> int:
    """How many texts of a Parquet file mention the id. All values of all columns are read."""
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        return sum(
            _count(column, mentions) for batch in file.iter_batches() for column in batch.columns
        )


def may_mention(texts: pa.Array, mentions: Mentions) -> pa.Array:
    """Per text whether it holds the id at all; quick, and true of parts of longer words too."""
    found = pc.match_substring(texts, mentions.forms[0])
    for form in mentions.forms[1:]:
        found = pc.or_(found, pc.match_substring(texts, form))
    return pc.fill_null(found, False)


def _count(array: pa.Array, mentions: Mentions) -> int:
    kind = array.type
    if pa.types.is_map(kind):
        return _count(array.keys, mentions) + _count(array.items, mentions)
    if pa.types.is_struct(kind):
        return sum(_count(child, mentions) for child in array.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _count(array.flatten(), mentions)
    if pa.types.is_dictionary(kind):
        return _count(array.dictionary_decode(), mentions)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = array.cast(pa.large_string())
        likely = texts.filter(may_mention(texts, mentions))
        return sum(mentions.found_in(text) for text in likely.to_pylist())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = (value for value in array.to_pylist() if value and mentions.may_be_in(value))
        return sum(mentions.found_in(value.decode("utf-8", "replace")) for value in values)
    return 0
