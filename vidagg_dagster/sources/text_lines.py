"""Lines of text -> fields, the same on every engine: JSON lines and CSV.

Engines differ in what they accept as JSON (text after the object, single quotes, bare NaN, numbers
beyond a double), and none reports a second object on the line. So each line is first rewritten into
a form that all engines read alike. The result tells whether the line was exactly one object.
"""

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.spark.compat import trim

_BLANKS: Final = "[ \\t\\r\\n]*"
_BACKSLASHES, _QUOTE, _MARK = "\x01", "\x02", "\x03"
"""Stand-ins while a line is rewritten. JSON forbids raw control characters, so a line with them is
malformed anyway."""

_DECIMAL_COMMA: Final = "^[ ]*[+-]?[0-9]+,[0-9]+[ ]*$"
_SURE_DECIMAL_COMMA: Final = "^[ ]*[+-]?(?:[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0+,[0-9]+)[ ]*$"

_FIELD_START, _FIELD_END = "\x01", "\x02"
"""Marks around the delimiters of a CSV line."""

_TOKENS: Final = (
    '("[^"]*")'
    f"|([\\[,:]{_BLANKS})"
    "(NaN|-?Infinity|-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
)
_DELICATE: Final = (
    f"[\\[,:]{_BLANKS}(?:NaN|-?Infinity|-0[^.]"
    "|-?(?:0\\.000|[0-9]{7,}\\.|[0-9]{19}|[0-9.]+[eE]|[0-9]+\\.[0-9]{10}|[0-9]+\\.[0-9]+0[^0-9]))"
)
"""Numbers that engines write in different ways, or do not read. Most lines have none of them, and
quoting is the most expensive step."""
_HEX: Final = "[0-9a-fA-F]{2}"
_UNICODE_ESCAPE: Final = (
    f"\\\\u[dD][89abAB]{_HEX}\\\\u[dD][c-fC-F]{_HEX}"
    f"|\\\\u(?:[0-9a-cA-CeEfF][0-9a-fA-F]|[dD][0-7]){_HEX}"
)
"""A pair of surrogates, or any other character. No engine reads half a pair."""
_END: Final = "vidagg:end of the line"
_CORRUPT: Final = f"{_END} never reached"

_EMPTY_OBJECT: Final = f"^\\{{{_BLANKS}\\}}$"

_JSON_OPTIONS: Final = {
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
    # The limit of Sail's parser, set for all engines.
    "maxNestingDepth": "127",
    # JVM Spark continues after a string that it cannot read, and reports it only in this column.
    "columnNameOfCorruptRecord": _CORRUPT,
}

FieldPath = tuple[str, ...]
"""The place of a field in an object: its name, after those of the objects around it."""


def with_json_fields(rows: DataFrame, line: str, paths: Sequence[FieldPath]) -> DataFrame:
    """`rows` with the text column `line` read as JSON, for `json_field` and `json_malformed`."""
    # Three steps, because engines may compute an expression again for each of its uses.
    return (
        rows.withColumn("_text", _without_blanks(F.col(line)))
        .withColumn("_json", _strict(F.col("_text")))
        .withColumn("_fields", F.from_json("_json", _json_schema(paths), _JSON_OPTIONS))
    )


def json_field(path: FieldPath) -> Column:
    """The field at `path` of a row of `with_json_fields`, as text.

    Strings come unescaped; numbers, NaN and Infinity as they are written; true and false as words;
    null and missing fields as null. Of repeated keys the last one counts.
    """
    value = F.col("_fields").getField(path[0])
    for name in path[1:]:
        # An inner object is read as text first. With its type in the schema of the line, JVM Spark
        # would call the whole line corrupt where the field has another type.
        inner = T.StructType([T.StructField(name, T.StringType())])
        value = F.from_json(value, inner, _JSON_OPTIONS).getField(name)
    return value


def json_malformed() -> Column:
    """Whether the line of a row of `with_json_fields` was not exactly one JSON object."""
    fields = F.col("_fields")
    whole = fields.getField(_END).isNotNull() & fields.getField(_CORRUPT).isNull()
    return ~whole & ~F.col("_text").rlike(_EMPTY_OBJECT)


def json_object(text: Column, names: Sequence[str]) -> Column:
    """Fields of the object that `text` holds, each as text; null if it holds none."""
    fields = T.StructType([T.StructField(name, T.StringType()) for name in names])
    return F.from_json(_readable(text, "{"), fields, _JSON_OPTIONS)


def json_array(text: Column, names: Sequence[str] | None = None) -> Column:
    """The elements of the array that `text` holds, each as text; null if it holds none.

    With `names`, the elements are objects, of which these fields are read, each as text.
    """
    fields = [T.StructField(name, T.StringType()) for name in names or ()]
    element = T.StructType(fields) if names else T.StringType()
    return F.from_json(_readable(text, "["), T.ArrayType(element), _JSON_OPTIONS)


def _readable(text: Column, opening: str) -> Column:
    """JSON that begins so, in a form that all engines read alike; null for other text."""
    bare = trim(text, " \t\r\n")
    quoted = F.when(bare.rlike(_DELICATE), _numbers_quoted(bare)).otherwise(bare)
    return F.when(F.startswith(bare, F.lit(opening)), quoted)


def _without_blanks(line: Column) -> Column:
    bare = F.startswith(line, F.lit("{")) & F.endswith(line, F.lit("}"))
    return F.when(bare, line).otherwise(trim(line, " \t\r\n"))


def _strict(text: Column) -> Column:
    """`text` in a form that all engines read alike, plus one field; null if surely malformed.

    The added field is the last one. Engines find it only where the object that begins the text also
    ends it: not behind a second object, text between two objects or a missing bracket.
    """
    malformed = (
        ~F.startswith(text, F.lit("{"))
        | ~F.endswith(text, F.lit("}"))
        | F.contains(text, F.lit(_END))
        | (F.contains(text, F.lit("\\u")) & _has_wrong_escape(text))
    )
    body = F.substr(text, F.lit(1), F.length(text) - 1)
    strict = F.when(text.rlike(_DELICATE), _numbers_quoted(body)).otherwise(body)
    return F.when(~malformed, F.concat(strict, F.lit(f',"{_END}":"1"}}')))


def _has_wrong_escape(text: Column) -> Column:
    unescaped = F.replace(text, F.lit("\\\\"), F.lit(""))
    return F.contains(F.regexp_replace(unescaped, _UNICODE_ESCAPE, ""), F.lit("\\u"))


def _numbers_quoted(body: Column) -> Column:
    """Bare numbers in quotes, so that their digits survive; null if that might hide a fault."""
    hidden = F.replace(
        F.replace(body, F.lit("\\\\"), F.lit(_BACKSLASHES)), F.lit('\\"'), F.lit(_QUOTE)
    )
    quoted = F.replace(
        # A string is matched as well, and leaves two marks with nothing between them.
        F.regexp_replace(hidden, _TOKENS, f"$1$2{_MARK}$3{_MARK}"),
        F.lit(_MARK * 2),
        F.lit(""),
    )
    whole = F.replace(quoted, F.lit(_MARK), F.lit('"'))
    restored = F.replace(
        F.replace(whole, F.lit(_QUOTE), F.lit('\\"')), F.lit(_BACKSLASHES), F.lit("\\\\")
    )
    number_as_key = quoted.rlike(f"{_MARK}{_BLANKS}:")
    return F.when(~body.rlike(f"[{_BACKSLASHES}{_QUOTE}{_MARK}]") & ~number_as_key, restored)


def _json_schema(paths: Sequence[FieldPath]) -> T.StructType:
    names = dict.fromkeys([*(path[0] for path in paths), _END, _CORRUPT])
    return T.StructType([T.StructField(name, T.StringType()) for name in names])


def csv_fields(line: Column, delimiter: str) -> Column:
    """The raw fields of a CSV line as an array, with their quotes."""
    escaped = "\\|" if delimiter == "|" else delimiter
    # Quoted text is matched first, which hides the delimiters in it.
    marked = F.replace(
        F.regexp_replace(line, f'("[^"]*")|({escaped})', f"$1{_FIELD_START}$2{_FIELD_END}"),
        F.lit(_FIELD_START + _FIELD_END),
        F.lit(""),
    )
    return F.when(
        F.contains(line, F.lit('"')),
        F.split(marked, f"{_FIELD_START}{escaped}{_FIELD_END}"),
    ).otherwise(F.split(line, escaped))


def csv_field(fields: Column, index: int) -> Column:
    """One field of the result of `csv_fields`, unquoted; null if the line has fewer."""
    field = F.get(fields, F.lit(index))
    return F.when(
        F.startswith(field, F.lit('"')),
        F.replace(_inside_quotes(field), F.lit('""'), F.lit('"')),
    ).otherwise(field)


def without_decimal_comma(text: Column, delimiter: str) -> Column:
    """Numbers with a decimal comma with a point instead.

    Where no semicolon delimits the fields, `1,234` may be a thousand or little more than one: such
    a number stays as it is.
    """
    sure = _DECIMAL_COMMA if delimiter == ";" else _SURE_DECIMAL_COMMA
    return F.when(text.rlike(sure), F.replace(text, F.lit(","), F.lit("."))).otherwise(text)


def csv_malformed(line: Column, fields: Column, count: int) -> Column:
    """Whether a line has more or fewer fields than `count`, or an unpaired quote."""
    return (
        (F.size(fields) != count)
        | F.contains(line, F.lit(_FIELD_START))
        | F.contains(line, F.lit(_FIELD_END))
        | (F.contains(line, F.lit('"')) & F.exists(fields, _wrongly_quoted))
    )


def _wrongly_quoted(field: Column) -> Column:
    well = (
        F.startswith(field, F.lit('"'))
        & F.endswith(field, F.lit('"'))
        & (F.length(field) >= 2)
        & ~F.contains(F.replace(_inside_quotes(field), F.lit('""'), F.lit("")), F.lit('"'))
    )
    return F.contains(field, F.lit('"')) & ~well


def _inside_quotes(field: Column) -> Column:
    return F.substr(field, F.lit(2), F.greatest(F.length(field) - 2, F.lit(0)))
