"""Parquet files: their schemas, and the types that every engine reads."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.error_text import reason
from vidagg_dagster.sources.files import InputFile

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file and what its footer says."""

    file: InputFile
    schema: "pa.Schema"


def parquet_file(file: InputFile) -> ParquetFile:
    """Read the footer of a file.

    Raises:
        SourceError: The file is damaged, is not Parquet, or has names that differ only in case.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file.path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"Cannot read {file.path} as Parquet: {reason(error)}. Restore the file or take "
            "it away."
        ) from error
    folded: dict[str, str] = {}
    for name in schema.names:
        if name.lower() in folded:
            raise SourceError(
                f"{file.path} has columns {folded[name.lower()]} and {name}, which engines do not "
                "tell apart. Rename one."
            )
        folded[name.lower()] = name
    return ParquetFile(file, schema)


def parquet_rows(file: InputFile) -> int:
    """How many rows a file has, by its footer.

    Raises:
        SourceError: The file is gone, damaged or not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(file.path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"Cannot read {file.path} as Parquet: {reason(error)}. Restore the file or take "
            "it away."
        ) from error


def plain_schema(parquet: ParquetFile) -> "pa.Schema | None":
    """The schema with types that every engine reads; None if the file has only such types.

    JVM Spark does not read nanoseconds, which pandas writes. Sail does not read dictionaries, which
    pandas writes for categories, nor unsigned integers. INT96 times are instants to the one and
    wall times to the other.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    physical = pq.ParquetFile(parquet.file.path).schema
    paths = [
        physical.column(i).path
        for i in range(len(physical))
        if physical.column(i).physical_type == "INT96"
    ]
    # A name may have dots, and paths of nested fields have some too.
    int96 = {
        name for name in parquet.schema.names if any(f"{p}.".startswith(f"{name}.") for p in paths)
    }
    fields = [
        field.with_type(
            pa.timestamp("us", tz="UTC")
            if field.name in int96 and pa.types.is_timestamp(field.type)
            else plain_type(field.type)
        )
        for field in parquet.schema
    ]
    plain = pa.schema(fields)
    return None if plain.equals(parquet.schema) and not int96 else plain


def plain_type(data_type: "pa.DataType") -> "pa.DataType":
    """The type that every engine reads, for a type that some do not."""
    import pyarrow as pa

    t = pa.types
    if t.is_dictionary(data_type):
        return plain_type(data_type.value_type)
    if t.is_timestamp(data_type):
        return data_type if data_type.unit in ("us", "ms") else pa.timestamp("us", tz=data_type.tz)
    if t.is_uint8(data_type) or t.is_uint16(data_type):
        return pa.int32()
    if t.is_uint32(data_type):
        return pa.int64()
    if t.is_uint64(data_type):
        return pa.decimal128(20, 0)
    if t.is_float16(data_type):
        return pa.float32()
    if t.is_date64(data_type):
        return pa.date32()
    if t.is_nested(data_type) and not _casts(data_type):
        return pa.string()
    if t.is_struct(data_type):
        return pa.struct([field.with_type(plain_type(field.type)) for field in data_type])
    if t.is_list(data_type) or t.is_large_list(data_type):
        return pa.list_(data_type.value_field.with_type(plain_type(data_type.value_type)))
    if t.is_map(data_type):
        return pa.map_(plain_type(data_type.key_type), plain_type(data_type.item_type))
    return data_type if _is_plain(data_type) else pa.string()


def _is_plain(data_type: "pa.DataType") -> bool:
    """Whether every engine reads a type as it is."""
    import pyarrow as pa

    t = pa.types
    texts = (t.is_string, t.is_large_string, t.is_string_view)
    others = (t.is_binary, t.is_large_binary, t.is_binary_view, t.is_boolean, t.is_signed_integer)
    numbers = (t.is_float32, t.is_float64, t.is_date32, t.is_decimal128)
    return any(is_type(data_type) for is_type in (*texts, *others, *numbers))


def plain_rows(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.Table":
    """Rows with the types of `schema`, a `plain_schema`.

    What no cast makes text of becomes the text of its Python value: a UUID as it is written, other
    bytes in hexadecimal, intervals and long decimals by their digits.
    """
    import pyarrow as pa

    return pa.table(
        [
            plain_column(column, field.type)
            for column, field in zip(batch.columns, schema, strict=True)
        ],
        schema=schema,
    )


def plain_column(column: "pa.Array", data_type: "pa.DataType") -> "pa.Array":
    """A column with its `plain_type`."""
    import pyarrow as pa

    if _casts(column.type):
        return column.cast(data_type, safe=False)
    return pa.array(
        [None if value is None else _as_text(value) for value in column.to_pylist()], pa.string()
    )


def _casts(data_type: "pa.DataType") -> bool:
    """Whether a cast leads to the plain type, in nested types of all that is inside."""
    import pyarrow as pa

    t = pa.types
    if t.is_dictionary(data_type) or t.is_list(data_type) or t.is_large_list(data_type):
        return _casts(data_type.value_type)
    if t.is_struct(data_type):
        return all(_casts(field.type) for field in data_type)
    if t.is_map(data_type):
        return _casts(data_type.key_type) and _casts(data_type.item_type)
    casts = (t.is_null, t.is_time, t.is_duration, t.is_timestamp, t.is_date64, t.is_float16)
    unsigned = t.is_unsigned_integer(data_type)
    return _is_plain(data_type) or unsigned or any(is_type(data_type) for is_type in casts)


def _as_text(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, default=_as_text, ensure_ascii=False)
    return value.hex() if isinstance(value, bytes) else str(value)
