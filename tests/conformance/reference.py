"""What FlightSql.proto writes down of the answers to metadata commands."""

import pyarrow as pa


def schema(**fields: pa.DataType | tuple[pa.DataType, str]) -> pa.Schema:
    """A type with "!" is not null."""
    return pa.schema(
        [pa.field(name, kind[0], nullable=False) if isinstance(kind, tuple) else pa.field(name, kind)
         for name, kind in fields.items()]
    )


def required(kind: pa.DataType) -> tuple[pa.DataType, str]:
    return kind, "!"


TEXT, NUMBER, RULE = pa.utf8(), pa.int32(), pa.uint8()

CATALOGS = schema(catalog_name=required(TEXT))
DB_SCHEMAS = schema(catalog_name=TEXT, db_schema_name=required(TEXT))
TABLES = schema(catalog_name=TEXT, db_schema_name=TEXT, table_name=required(TEXT), table_type=required(TEXT))
TABLES_WITH_SCHEMA = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
TABLE_TYPES = schema(table_type=required(TEXT))
PRIMARY_KEYS = schema(
    catalog_name=TEXT,
    db_schema_name=TEXT,
    table_name=required(TEXT),
    column_name=required(TEXT),
    key_sequence=required(NUMBER),
    key_name=TEXT,
)
FOREIGN_KEYS = schema(
    pk_catalog_name=TEXT,
    pk_db_schema_name=TEXT,
    pk_table_name=required(TEXT),
    pk_column_name=required(TEXT),
    fk_catalog_name=TEXT,
    fk_db_schema_name=TEXT,
    fk_table_name=required(TEXT),
    fk_column_name=required(TEXT),
    key_sequence=required(NUMBER),
    fk_key_name=TEXT,
    pk_key_name=TEXT,
    update_rule=required(RULE),
    delete_rule=required(RULE),
)
XDBC_TYPE_INFO = schema(
    type_name=required(TEXT),
    data_type=required(NUMBER),
    column_size=NUMBER,
    literal_prefix=TEXT,
    literal_suffix=TEXT,
    create_params=pa.list_(pa.field("item", TEXT, nullable=False)),
    nullable=required(NUMBER),
    case_sensitive=required(pa.bool_()),
    searchable=required(NUMBER),
    unsigned_attribute=pa.bool_(),
    fixed_prec_scale=required(pa.bool_()),
    auto_increment=pa.bool_(),
    local_type_name=TEXT,
    minimum_scale=NUMBER,
    maximum_scale=NUMBER,
    sql_data_type=required(NUMBER),
    datetime_subcode=NUMBER,
    num_prec_radix=NUMBER,
    interval_precision=NUMBER,
)

# The children of SqlInfo's dense union, by their number.
SQL_INFO_CHILDREN = ("string_value", "bool_value", "bigint_value", "int32_bitmask", "string_list", "int32_to_int32_list_map")


def numbers(*parts: int | range) -> frozenset[int]:
    return frozenset(n for part in parts for n in ([part] if isinstance(part, int) else part))


# Which child says what, by the number of the information. Not 562, the default transaction isolation: an int32 by the
# document, an int64 for the JDBC driver.
SQL_INFO = {
    "string_value": numbers(0, 1, 2, 504, 513, 514, 529, 530, 531),
    "bool_value": numbers(
        3, 4, 5, 9, 10, 11, range(500, 503), 506, 515, 516, range(518, 522), 523, 524, 527, 532, 536, 537, 539, 556, 563,
        565, 566, range(572, 577),
    ),
    "bigint_value": numbers(range(541, 556), range(557, 562)),
    "int32_bitmask": numbers(8, 100, 101, 503, 505, 507, 522, 525, 526, 528, range(533, 536), 538, 540, 564, range(567, 572)),
    "string_list": numbers(range(508, 513)),
    "int32_to_int32_list_map": numbers(517),
}
