"""What each of the demo's people may see, filtered by hand, in DuckDB over the raw files.

Written from access-model's words and the demo's grants, without weft: the judge of its answers.
"""

from decimal import Decimal
from pathlib import Path

import duckdb

DOMAINS = Path(__file__).parents[2] / "testdata" / "demo" / "domains"
PEOPLE = ("ana", "ben", "carla", "dora")

RAW = {
    "orders": f"""SELECT order_id, customer_id, region, sku, quantity, amount, channel, ordered_at, month
                  FROM read_parquet('{DOMAINS}/sales/data/orders/*/*.parquet',
                                    hive_partitioning = true, hive_types_autocast = false)""",
    "customers": f"SELECT * FROM read_parquet('{DOMAINS}/crm/data/customers/*.parquet')",
    "tickets": f"SELECT * FROM read_parquet('{DOMAINS}/crm/data/tickets/*.parquet')",
    "shipments": f"""SELECT * FROM read_csv('{DOMAINS}/logistics/data/shipments.csv', header = true, columns = {{
                       'shipment_id': 'VARCHAR', 'order_id': 'BIGINT', 'carrier': 'VARCHAR', 'destination': 'VARCHAR',
                       'shipped_on': 'DATE', 'promised_on': 'DATE', 'delivered_on': 'DATE',
                       'freight_cost': 'DECIMAL(8,2)'}})""",
    "people": f"""SELECT * FROM read_json('{DOMAINS}/hr/data/people.ndjson', format = 'newline_delimited', columns = {{
                    'person_id': 'BIGINT', 'login': 'VARCHAR', 'name': 'VARCHAR', 'title': 'VARCHAR',
                    'department': 'VARCHAR', 'country': 'VARCHAR', 'manager': 'VARCHAR', 'salary': 'INTEGER',
                    'hired_on': 'DATE', 'skills': 'VARCHAR[]'}})""",
}


def own_and_team(login):
    return f"""SELECT person_id, login, name, title, department, country, manager, hired_on,
                      CASE WHEN login = '{login}' THEN salary
                           WHEN manager = '{login}' THEN (salary // 10000) * 10000 END AS salary,
                      CASE WHEN login = '{login}' THEN skills END AS skills
               FROM raw_people WHERE login = '{login}' OR manager = '{login}'"""


# Absent: that person has no grant on that table.
VISIBLE = {
    "ana": {
        "orders": """SELECT order_id, customer_id, region, ordered_at, month,
                            CASE WHEN region = 'EU' THEN sku END AS sku,
                            CASE WHEN region = 'EU' THEN quantity END AS quantity,
                            CASE WHEN region = 'EU' THEN channel END AS channel,
                            CASE WHEN region = 'EU' THEN amount
                                 ELSE (floor(amount / 1000) * 1000)::DECIMAL(12,2) END AS amount
                     FROM raw_orders WHERE region = 'EU' OR amount >= 5000""",
        # The e-mail's hash is keyed: the oracle does not know it, and leaves it out.
        "customers": """SELECT customer_id, left(name, 1) || repeat('*', length(name) - 1) AS name, segment, city,
                               country, region, joined_on, date_trunc('year', birth_date)::DATE AS birth_date
                        FROM raw_customers""",
        "tickets": "SELECT ticket_id, order_id, agent, opened_at, topic, urgent FROM raw_tickets",
        "shipments": "SELECT * EXCLUDE (freight_cost) FROM raw_shipments",
        "people": own_and_team("ana"),
    },
    "ben": {
        "orders": """SELECT * EXCLUDE (channel)
                            REPLACE ((floor(amount / 100) * 100)::DECIMAL(12,2) AS amount) FROM raw_orders""",
        "customers": "SELECT * FROM raw_customers",
        "tickets": "SELECT * FROM raw_tickets",
        "shipments": "SELECT * EXCLUDE (freight_cost) FROM raw_shipments",
        "people": own_and_team("ben"),
    },
    "carla": {
        "orders": "SELECT * FROM raw_orders",
        "customers": """SELECT * EXCLUDE (birth_date, phone)
                               REPLACE (NULL::VARCHAR AS name,
                                        regexp_replace(regexp_replace(email, '[0-9]', '9', 'g'), '[a-z]', 'x', 'g') AS email)
                        FROM raw_customers""",
        "tickets": "SELECT * EXCLUDE (body) FROM raw_tickets WHERE topic = 'invoice'",
        "shipments": "SELECT * FROM raw_shipments",
        "people": own_and_team("carla"),
    },
    "dora": {
        "tickets": "SELECT ticket_id, order_id, agent, opened_at, topic, urgent FROM raw_tickets",
        "shipments": "SELECT * EXCLUDE (freight_cost) FROM raw_shipments",
        "people": "SELECT * FROM raw_people",
    },
}
SCHEMA_OF = {"orders": "sales", "customers": "crm", "tickets": "crm", "shipments": "logistics", "people": "hr"}


def answer(person, sql):
    """The rows that `person` is to get for `sql`, which names tables as weft does."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for schema in set(SCHEMA_OF.values()):
        connection.execute(f"CREATE SCHEMA {schema}")
    for table, raw in RAW.items():
        connection.execute(f"CREATE VIEW raw_{table} AS {raw}")
    for table, visible in VISIBLE[person].items():
        connection.execute(f"CREATE VIEW {SCHEMA_OF[table]}.{table} AS {visible}")
    # By way of Arrow, so that both sides make Python values of Arrow's types.
    table = connection.sql(sql).to_arrow_table()
    return normal(zip(*(column.to_pylist() for column in table.columns)))


def normal(rows):
    """Rows in comparable form: decimals by value, lists for tuples."""
    return [tuple(value.normalize() if isinstance(value, Decimal) else value for value in row) for row in rows]
