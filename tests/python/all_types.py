"""A mesh whose tables `kinds.everything` and `kinds.maps` have every type that a contract can declare.

For any client's test, in Python or not:

    python all_types.py FOLDER      writes FOLDER/mesh.yaml and FOLDER/expected.json
    mesh = all_types.write(folder)  the same from Python; returns the path of mesh.yaml

Catalog `allsorts`, schema `kinds`. Two may log in: `ana` with the password `ana-demo`, and the
service `bi` with the token `types-token`. Both see all of all tables:

- `everything`: `id` BIGINT (primary key), `label` VARCHAR, then a column for each of COLUMNS. A row
  for each of LABELS, in that order, `id` counting from 1: ordinary values, all NULL, the minimum and
  the maximum of each type, zero or empty, NaN, both infinities, negative zero, the least positive
  float, and nested values with NULLs inside. In a row that says nothing of a type the cell is NULL.
- `maps`: the same for MAPS. A table of its own, since clients differ most in maps, and one that
  cannot read them is to be asked for the rest all the same.
- `long_text`: `id` BIGINT, `length` BIGINT, `body` VARCHAR, of LENGTHS bytes (1 to 20 MB), each
  `body` the digits 0 to 9 again and again. A row is one message at least, and some clients take the
  last only when they are told to take messages of that size.

Minimum and maximum of dates and of timestamps in seconds, milliseconds and microseconds are
0001-01-01 and the last instant of 9999-12-31; of timestamps in nanoseconds, what 64 bits hold.

What is to come back:

- `expected()`: a pyarrow table, with the exact Arrow types that go over the wire; `expected("maps")`.
- `expected().to_pylist()`: a dict a row, of Python values. Timestamps in nanoseconds are pandas'.
- `expected.json`, for who reads neither:
  `{"everything": {"columns": [{"name", "declared", "arrow"}], "rows": [[...]]}, "maps": the same}`.
  A cell is null or text: whole numbers and decimals in plain notation with all digits of the scale,
  floats as Python's repr (`nan`, `inf`, `-inf`, `-0.0`), `true` and `false`, text as it is, binary in
  lower-case hex, dates, times and timestamps in ISO 8601 with all digits of the unit and `Z` where
  there is a zone. A list is a list of cells, a struct an object, a map a list of [key, value].
"""

import datetime
import functools
import sys
from decimal import Context, Decimal
from pathlib import Path

import pyarrow as pa

import mesh_files

CATALOG, SCHEMA, USER, PASSWORD, SERVICE, TOKEN = "allsorts", "kinds", "ana", "ana-demo", "bi", "types-token"
LABELS = (
    "ordinary",
    "null",
    "minimum",
    "maximum",
    "zero",
    "nan",
    "infinity",
    "negative infinity",
    "negative zero",
    "subnormal",
    "nulls inside",
)
LENGTHS = (1, 1_000_000, 10_000_000, 20_000_000)

EPOCH = datetime.datetime(1970, 1, 1)
ORDINARY = datetime.datetime(2026, 11, 25, 13, 37, 42, 123456)
FIRST, LAST = datetime.datetime.min, datetime.datetime.max
# Enough digits for every decimal.
WIDE = Context(prec=80)


def whole(bits, signed=True):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return {"ordinary": 42, "minimum": low, "maximum": high, "zero": 0}


def floating(largest, least):
    return {
        "ordinary": 1.5,
        "minimum": -largest,
        "maximum": largest,
        "zero": 0.0,
        "nan": float("nan"),
        "infinity": float("inf"),
        "negative infinity": float("-inf"),
        "negative zero": -0.0,
        "subnormal": least,
    }


DOUBLES = floating(sys.float_info.max, 5e-324)
FLOATS = floating(3.4028234663852886e38, 1.401298464324817e-45)


def decimal(precision, scale):
    digits = (9,) * precision
    return {
        "ordinary": Decimal((0, (4, 2)[: precision], -min(scale, 1))),
        "minimum": Decimal((1, digits, -scale)),
        "maximum": Decimal((0, digits, -scale)),
        "zero": Decimal((0, (0,), -scale)),
    }


TEXT = {"ordinary": "Grüße, 世界 𝄞", "minimum": " ", "maximum": "\U0010ffff\t\n\"'\\;--%_", "zero": ""}
BINARY = {"ordinary": b"weft", "minimum": b"\x00", "maximum": bytes(range(256)), "zero": b""}
DATE = {
    "ordinary": ORDINARY.date(),
    "minimum": datetime.date.min,
    "maximum": datetime.date.max,
    "zero": EPOCH.date(),
}
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def times(unit):
    """As numbers of the unit since midnight: Python's own times end at microseconds."""
    per_second = UNITS[unit]
    ordinary = (13 * 3600 + 37 * 60 + 42) * per_second + 123456789 * per_second // 10**9
    return {"ordinary": ordinary, "minimum": 0, "maximum": 86_400 * per_second - 1, "zero": 0}


def instants(unit):
    """As numbers of the unit since 1970."""

    def number(at):
        seconds = (at.replace(microsecond=0) - EPOCH) // datetime.timedelta(seconds=1)
        return seconds * UNITS[unit] + at.microsecond * UNITS[unit] // 10**6

    if unit == "ns":
        # Not the very least number, which pandas takes for NaT.
        low, high = -(2**63) + 1, 2**63 - 1
    else:
        low, high = number(FIRST), number(LAST)
    return {"ordinary": number(ORDINARY), "minimum": low, "maximum": high, "zero": 0}


def physical(text, logical):
    return {"logicalType": logical, "physicalType": text}


def declared(logical):
    return {"logicalType": logical}


def array(items):
    return {"logicalType": "array", "items": items}


def struct(**properties):
    return {"logicalType": "object", "properties": [{"name": name, **kind} for name, kind in properties.items()]}


def mapping(key, value):
    return {"logicalType": "map", "map": {"key": key, "value": value}}


BIGINT, VARCHAR, DOUBLE = physical("BIGINT", "integer"), physical("VARCHAR", "string"), physical("DOUBLE", "number")
MONEY = physical("DECIMAL(12,2)", "number")
POINT = pa.struct([("x", pa.float64()), ("y", pa.float64())])
LINE = pa.struct([("name", pa.string()), ("price", pa.decimal128(12, 2))])
DEEP = pa.struct([("a", pa.struct([("b", pa.struct([("c", pa.list_(pa.int64()))]))])), ("d", pa.date32())])
TAGS = pa.map_(pa.string(), pa.string())

# (column, Arrow type on the wire, type in the contract, {label: value})
COLUMNS = [
    ("c_tinyint", pa.int8(), physical("TINYINT", "integer"), whole(8)),
    ("c_smallint", pa.int16(), physical("SMALLINT", "integer"), whole(16)),
    ("c_integer", pa.int32(), physical("INTEGER", "integer"), whole(32)),
    ("c_bigint", pa.int64(), BIGINT, whole(64)),
    ("c_utinyint", pa.uint8(), physical("TINYINT UNSIGNED", "integer"), whole(8, signed=False)),
    ("c_usmallint", pa.uint16(), physical("SMALLINT UNSIGNED", "integer"), whole(16, signed=False)),
    ("c_uinteger", pa.uint32(), physical("INTEGER UNSIGNED", "integer"), whole(32, signed=False)),
    ("c_ubigint", pa.uint64(), physical("BIGINT UNSIGNED", "integer"), whole(64, signed=False)),
    ("c_real", pa.float32(), physical("REAL", "number"), FLOATS),
    ("c_double", pa.float64(), DOUBLE, DOUBLES),
    ("c_decimal_1_0", pa.decimal128(1, 0), physical("DECIMAL(1)", "number"), {**decimal(1, 0), "ordinary": Decimal(4)}),
    ("c_decimal_12_2", pa.decimal128(12, 2), MONEY, decimal(12, 2)),
    ("c_decimal_38_0", pa.decimal128(38, 0), physical("DECIMAL(38,0)", "number"), decimal(38, 0)),
    ("c_decimal_38_38", pa.decimal128(38, 38), physical("DECIMAL(38,38)", "number"), {**decimal(38, 38), "ordinary": Decimal("0.42")}),
    ("c_decimal_39_3", pa.decimal256(39, 3), physical("DECIMAL(39,3)", "number"), decimal(39, 3)),
    ("c_decimal_76_0", pa.decimal256(76, 0), physical("DECIMAL(76,0)", "number"), decimal(76, 0)),
    ("c_decimal_76_38", pa.decimal256(76, 38), physical("DECIMAL(76,38)", "number"), decimal(76, 38)),
    ("c_boolean", pa.bool_(), physical("BOOLEAN", "boolean"), {"ordinary": True, "minimum": False, "maximum": True, "zero": False}),
    ("c_varchar", pa.string(), VARCHAR, TEXT),
    ("c_char", pa.string(), physical("CHAR(3)", "string"), {"ordinary": "abc", "minimum": "a  ", "maximum": "zzz", "zero": ""}),
    ("c_uuid", pa.string(), physical("UUID", "string"), {"ordinary": "5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c11"}),
    ("c_json", pa.string(), physical("JSON", "object"), {"ordinary": '{"a": [1, null]}', "zero": "{}"}),
    ("c_varbinary", pa.binary(), physical("VARBINARY", "string"), BINARY),
    ("c_date", pa.date32(), physical("DATE", "date"), DATE),
    *[
        (f"c_time_{unit}", kind, physical(f"TIME({digits})", "time"), times(unit))
        for unit, digits, kind in (
            ("s", 0, pa.time32("s")),
            ("ms", 3, pa.time32("ms")),
            ("us", 6, pa.time64("us")),
            ("ns", 9, pa.time64("ns")),
        )
    ],
    *[
        (f"c_timestamp_{unit}{suffix}", pa.timestamp(unit, tz=zone), physical(f"TIMESTAMP({digits}){words}", "timestamp"), instants(unit))
        for suffix, zone, words in (("", None, ""), ("_tz", "UTC", " WITH TIME ZONE"))
        for unit, digits in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9))
    ],
    # What the logical types are without a physical one.
    ("l_integer", pa.int64(), declared("integer"), whole(64)),
    ("l_number", pa.float64(), declared("number"), DOUBLES),
    ("l_boolean", pa.bool_(), declared("boolean"), {"ordinary": True, "zero": False}),
    ("l_string", pa.string(), declared("string"), TEXT),
    ("l_date", pa.date32(), declared("date"), DATE),
    ("l_time", pa.time64("us"), declared("time"), times("us")),
    ("l_timestamp", pa.timestamp("us", tz="UTC"), declared("timestamp"), instants("us")),
    (
        "n_bigints",
        pa.list_(pa.int64()),
        array(BIGINT),
        {"ordinary": [1, 2, 3], "minimum": [-(2**63)], "maximum": [2**63 - 1] * 3, "zero": [], "nulls inside": [None, 1, None]},
    ),
    (
        "n_strings",
        pa.list_(pa.string()),
        array(VARCHAR),
        {"ordinary": ["one", "", "三"], "zero": [], "nulls inside": [None]},
    ),
    (
        "n_doubles",
        pa.list_(pa.float64()),
        array(DOUBLE),
        {"ordinary": [0.5], "zero": [], "nan": [float("nan"), None], "infinity": [float("inf"), float("-inf")], "negative zero": [-0.0]},
    ),
    (
        "n_decimals",
        pa.list_(pa.decimal128(12, 2)),
        array(MONEY),
        {"ordinary": [Decimal("1.50")], "minimum": [Decimal("-9999999999.99")], "zero": []},
    ),
    (
        "n_timestamps",
        pa.list_(pa.timestamp("us", tz="UTC")),
        array(declared("timestamp")),
        {"ordinary": [instants("us")["ordinary"]], "minimum": [instants("us")["minimum"]], "zero": [], "nulls inside": [None]},
    ),
    (
        "n_lists",
        pa.list_(pa.list_(pa.int64())),
        array(array(BIGINT)),
        {"ordinary": [[1, 2], [3]], "minimum": [[]], "maximum": [[]] * 3, "zero": [], "nulls inside": [None, [], [None, 4]]},
    ),
    (
        "n_struct",
        POINT,
        struct(x=DOUBLE, y=DOUBLE),
        {"ordinary": {"x": 1.5, "y": -2.5}, "nan": {"x": float("nan"), "y": float("inf")}, "nulls inside": {"x": None, "y": None}},
    ),
    (
        "n_structs",
        pa.list_(LINE),
        array(struct(name=VARCHAR, price=MONEY)),
        {
            "ordinary": [{"name": "bell", "price": Decimal("9.90")}, {"name": "lamp", "price": Decimal("0.00")}],
            "zero": [],
            "nulls inside": [None, {"name": None, "price": None}],
        },
    ),
    (
        "n_deep",
        DEEP,
        struct(a=struct(b=struct(c=array(BIGINT))), d=declared("date")),
        {
            "ordinary": {"a": {"b": {"c": [1, 2]}}, "d": ORDINARY.date()},
            "minimum": {"a": {"b": {"c": []}}, "d": datetime.date.min},
            "nulls inside": {"a": {"b": None}, "d": None},
        },
    ),
]

MAPS = [
    (
        "n_map",
        TAGS,
        mapping(VARCHAR, VARCHAR),
        {"ordinary": [("colour", "red"), ("size", "M")], "zero": [], "nulls inside": [("colour", None)]},
    ),
    (
        "n_map_deep",
        pa.map_(pa.int64(), pa.list_(POINT)),
        mapping(BIGINT, array(struct(x=DOUBLE, y=DOUBLE))),
        {"ordinary": [(1, [{"x": 0.5, "y": 1.0}]), (2, [])], "zero": [], "nulls inside": [(3, None), (4, [None])]},
    ),
]


TABLES = {"everything": COLUMNS, "maps": MAPS}


@functools.cache
def expected(table="everything"):
    """The table `everything`, or `maps`, as it is to come, in the order of `id`."""
    fields = [pa.field("id", pa.int64(), nullable=False), pa.field("label", pa.string())]
    arrays = [pa.array(range(1, len(LABELS) + 1), pa.int64()), pa.array(LABELS)]
    for name, kind, _, values in TABLES[table]:
        assert set(values) <= set(LABELS), name
        fields.append(pa.field(name, kind))
        cells = [values.get(label) for label in LABELS]
        scaled = [cell.quantize(Decimal((0, (1,), -kind.scale)), context=WIDE) if isinstance(cell, Decimal) else cell for cell in cells]
        arrays.append(pa.array(scaled, kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))





def text(cell, kind):
    """A cell of expected.json."""
    if cell is None or (isinstance(cell, pa.Scalar) and not cell.is_valid):
        return None
    if pa.types.is_list(kind):
        return [text(item, kind.value_type) for item in cell]
    if pa.types.is_struct(kind):
        return {field.name: text(cell[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        # Entries of a scalar, each a struct, in pyarrow a list of them.
        return [[text(entry["key"], kind.key_type), text(entry["value"], kind.item_type)] for entry in cell.values]
    if pa.types.is_timestamp(kind):
        return instant_text(cell.value, kind.unit) + ("Z" if kind.tz else "")
    if pa.types.is_time(kind):
        return instant_text(cell.value, kind.unit).split("T")[1]
    value = cell.as_py()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value if isinstance(value, str) else repr(value)


def instant_text(number, unit):
    seconds, fraction = divmod(number, UNITS[unit])
    digits = len(str(UNITS[unit])) - 1
    at = (EPOCH + datetime.timedelta(seconds=seconds)).isoformat()
    return f"{at}.{fraction:0{digits}}" if digits else at


def body(length):
    return ("0123456789" * (length // 10 + 1))[:length]


def properties(columns):
    return [
        {"name": "id", **BIGINT, "description": "Which row; from 1."},
        {"name": "label", **VARCHAR, "description": "What the row is an example of."},
        *[{"name": name, **kind} for name, _, kind, _ in columns],
    ]


def as_json(name):
    table = expected(name)
    declarations = {column["name"]: column for column in properties(TABLES[name])}
    return {
        "columns": [{"name": field.name, "declared": declarations[field.name], "arrow": str(field.type)} for field in table.schema],
        "rows": [[text(column[row], column.type) for column in table.columns] for row in range(table.num_rows)],
    }


def write(folder):
    """Returns the path of mesh.yaml."""
    folder = Path(folder)
    long_columns = [{"name": "id", **BIGINT}, {"name": "length", **BIGINT}, {"name": "body", **VARCHAR}]
    contracts = [
        *[mesh_files.contract(SCHEMA, name, properties(columns), primary_key=["id"]) for name, columns in TABLES.items()],
        mesh_files.contract(SCHEMA, "long_text", long_columns, primary_key=["id"]),
    ]
    grants = [{"name": "all", "to": ["everyone"], "on": "*", "columns": "*"}]
    users = [mesh_files.person(USER), {"name": SERVICE, "kind": "service", "token": "file:bi.token"}]
    mesh = mesh_files.write_mesh(folder, CATALOG, {SCHEMA: (contracts, grants)}, users)
    (folder / "bi.token").write_text(TOKEN)
    # In groups of three rows, so that more than one is read.
    for name in TABLES:
        mesh_files.write_rows(folder, SCHEMA, name, expected(name), row_group_size=3)
    long_rows = pa.table(
        {"id": range(1, len(LENGTHS) + 1), "length": LENGTHS, "body": [body(length) for length in LENGTHS]},
        schema=pa.schema([pa.field("id", pa.int64(), nullable=False), ("length", pa.int64()), ("body", pa.string())]),
    )
    mesh_files.write_rows(folder, SCHEMA, "long_text", long_rows, row_group_size=1)
    mesh_files.write_json(folder / "expected.json", {name: as_json(name) for name in TABLES})
    return mesh


if __name__ == "__main__":
    print(write(sys.argv[1]))
