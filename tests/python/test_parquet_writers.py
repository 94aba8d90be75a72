"""Files of other writers: without Arrow's own schema in them, other names inside lists, newer pages."""

import pyarrow as pa
import pytest

import all_types
import mesh_files
from weft_process import Weft


@pytest.mark.parametrize(
    "options",
    [
        {"store_schema": False},
        # The names inside lists that writers used before the format's rules.
        {"store_schema": False, "use_compliant_nested_type": False},
        {"store_schema": False, "data_page_version": "2.0", "compression": "zstd", "use_dictionary": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("table", all_types.TABLES)
def test_a_table_is_what_its_contract_says(tmp_path, table, options):
    mesh = all_types.write(tmp_path)
    expected = all_types.expected(table)
    mesh_files.write_rows(tmp_path, all_types.SCHEMA, table, expected, row_group_size=3, **options)
    weft = Weft(mesh)
    try:
        with weft.connect(all_types.USER) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM kinds.{table} ORDER BY id")
            actual = cursor.fetch_arrow_table()
            assert actual.schema.equals(expected.schema)
            assert cells(actual) == cells(expected)
    finally:
        assert weft.stop() == 0


def cells(table: pa.Table):
    return {name: [all_types.text(cell, table.schema.field(name).type) for cell in table[name]] for name in table.column_names}
