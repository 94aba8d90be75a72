"""Writes the demo mesh's data files beside its manifests: `python generate.py [OUT]`.

Deterministic: one seeded generator for each table, nothing from the clock, so a
second run writes the same rows. The files are committed; a test runs this again
and compares.
"""

import argparse
import csv
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

CUSTOMERS = 300
ORDERS = 1800
FIRST_DAY = datetime(2026, 4, 1, tzinfo=timezone.utc)
DAYS = 183  # April to September

# country: (region, cities)
COUNTRIES = {
    "DE": ("EU", ["Berlin", "Hamburg", "Leipzig"]),
    "FR": ("EU", ["Lyon", "Nantes", "Lille"]),
    "ES": ("EU", ["Valencia", "Bilbao"]),
    "PL": ("EU", ["Gdansk", "Krakow"]),
    "US": ("AMER", ["Austin", "Denver", "Portland"]),
    "CA": ("AMER", ["Toronto", "Halifax"]),
    "BR": ("AMER", ["Recife", "Curitiba"]),
    "JP": ("APAC", ["Osaka", "Sapporo"]),
    "AU": ("APAC", ["Perth", "Hobart"]),
}
FIRST_NAMES = [
    "Ada", "Amir", "Beatriz", "Bruno", "Chloe", "Daiki", "Elif", "Emil", "Farah", "Felix",
    "Greta", "Hana", "Ines", "Jonas", "Kaya", "Leo", "Lucia", "Mei", "Noah", "Olga",
    "Pedro", "Quinn", "Rosa", "Sami", "Tess", "Uma", "Victor", "Wanda", "Yara", "Zoe",
]
LAST_NAMES = [
    "Abe", "Almeida", "Bauer", "Clarke", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jensen", "Kowalski", "Lambert", "Moreau", "Nowak", "Okafor", "Pereira", "Quist", "Rossi", "Silva",
    "Tanaka", "Ueda", "Vogel", "Weber", "Young", "Ziegler",
]
# sku, name, category, list price, unit cost
PRODUCTS = [
    ("BK-101", "Ridge trail bike", "bikes", "2190.00", "1310.00"),
    ("BK-102", "Harbour city bike", "bikes", "1240.00", "702.50"),
    ("BK-103", "Courier cargo bike", "bikes", "3890.00", "2480.00"),
    ("BK-104", "Pocket folding bike", "bikes", "980.00", "561.00"),
    ("HL-201", "Commuter helmet", "helmets", "79.90", "28.40"),
    ("HL-202", "Trail helmet", "helmets", "129.90", "47.10"),
    ("LT-301", "Dynamo front light", "lights", "64.50", "21.00"),
    ("LT-302", "Rear light, braking", "lights", "39.90", "12.75"),
    ("LK-401", "Folding lock", "locks", "89.00", "31.30"),
    ("LK-402", "Frame lock", "locks", "54.00", "17.80"),
    ("BG-501", "Pannier pair", "bags", "149.00", "58.00"),
    ("BG-502", "Saddle bag", "bags", "34.50", "9.90"),
]
CARRIERS = [
    ("blue-van", "Blue Van Express", 2),
    ("northline", "Northline Freight", 4),
    ("paketo", "Paketo", 3),
    ("seagull", "Seagull Air", 5),
]


def pick(rng, items):
    """One of `items`; built on random() alone, which Python promises to keep stable."""
    return items[int(rng.random() * len(items))]


def whole(rng, low, high):
    return low + int(rng.random() * (high - low + 1))


def customers():
    rng = Random("customers")
    rows = []
    for customer_id in range(1001, 1001 + CUSTOMERS):
        country = pick(rng, list(COUNTRIES))
        region, cities = COUNTRIES[country]
        first, last = pick(rng, FIRST_NAMES), pick(rng, LAST_NAMES)
        rows.append(
            {
                "customer_id": customer_id,
                "name": f"{first} {last}",
                "email": f"{first}.{last}.{customer_id % 97}@example.{country.lower()}".lower(),
                "phone": None if rng.random() < 0.2 else f"+{whole(rng, 1, 98)} 555 {whole(rng, 0, 9999):04d}",
                "birth_date": date(1950, 1, 1) + timedelta(days=whole(rng, 0, 20_000)),
                "segment": pick(rng, ["private", "private", "private", "business", "fleet"]),
                "city": pick(rng, cities),
                "country": country,
                "region": region,
                "joined_on": date(2019, 1, 1) + timedelta(days=whole(rng, 0, 2_500)),
            }
        )
    return rows


def orders(customer_rows):
    rng = Random("orders")
    moments = sorted(whole(rng, 0, DAYS * 86_400 - 1) for _ in range(ORDERS))
    rows = []
    for number, seconds in enumerate(moments):
        customer = pick(rng, customer_rows)
        sku, _, category, price, _ = pick(rng, PRODUCTS)
        quantity = 1 if category == "bikes" and customer["segment"] == "private" else whole(rng, 1, 4)
        ordered_at = FIRST_DAY + timedelta(seconds=seconds)
        rows.append(
            {
                "order_id": 500_001 + number,
                "customer_id": customer["customer_id"],
                "region": customer["region"],
                "sku": sku,
                "quantity": quantity,
                "amount": Decimal(price) * quantity,
                "channel": pick(rng, ["web", "web", "app", "shop"]),
                "ordered_at": ordered_at,
                "month": f"{ordered_at:%Y-%m}",
            }
        )
    return rows


def tickets(order_rows, people_rows):
    rng = Random("tickets")
    care = [row["login"] for row in people_rows if row["department"] == "care"]
    others = ["ana", "carla", *(row["login"] for row in people_rows if row["department"] == "sales")]
    topics = {
        "delivery": "Where is my parcel? It was promised for last week.",
        "damage": "The box arrived torn and the light is broken.",
        "invoice": "Please send the invoice with our tax number.",
        "return": "It does not fit; how do I send it back?",
    }
    rows = []
    for ticket_id in range(9001, 9241):
        topic = pick(rng, list(topics))
        order = pick(rng, order_rows)
        rows.append(
            {
                "ticket_id": ticket_id,
                "customer_id": order["customer_id"],
                "order_id": None if rng.random() < 0.1 else order["order_id"],
                "agent": pick(rng, care if rng.random() < 0.75 else others),
                "opened_at": order["ordered_at"] + timedelta(minutes=whole(rng, 60, 20_000)),
                "topic": topic,
                "urgent": rng.random() < 0.25,
                "body": topics[topic],
            }
        )
    return rows


def shipments(order_rows, customer_rows):
    rng = Random("shipments")
    countries = {row["customer_id"]: row["country"] for row in customer_rows}
    end = (FIRST_DAY + timedelta(days=DAYS)).date()
    rows = []
    for order in order_rows:
        if rng.random() < 0.06:
            continue  # picked up in the shop
        carrier, _, promised_days = pick(rng, CARRIERS)
        shipped_on = order["ordered_at"].date() + timedelta(days=whole(rng, 0, 2))
        promised_on = shipped_on + timedelta(days=promised_days)
        slip = whole(rng, 1, 9) if rng.random() < (0.35 if carrier == "northline" else 0.12) else -whole(rng, 0, 1)
        delivered_on = promised_on + timedelta(days=slip)
        rows.append(
            {
                "shipment_id": f"S-{order['order_id'] - 400_000}",
                "order_id": order["order_id"],
                "carrier": carrier,
                "destination": countries[order["customer_id"]],
                "shipped_on": shipped_on.isoformat(),
                "promised_on": promised_on.isoformat(),
                "delivered_on": delivered_on.isoformat() if delivered_on < end else "",
                "freight_cost": f"{whole(rng, 390, 9_900) / 100:.2f}",
            }
        )
    return rows


def people():
    rng = Random("people")
    named = [
        # login, name, title, department, country, manager, salary
        ("carla", "Carla Costa", "Finance controller", "finance", "ES", None, 98_000),
        ("ana", "Ana Ahlers", "Sales analyst", "sales", "DE", "carla", 61_500),
        ("ben", "Ben Boyd", "Customer care lead", "care", "US", "carla", 57_200),
        ("dora", "Dora Dvorak", "People partner", "people", "PL", "carla", 66_400),
    ]
    rows = []
    for login, name, title, department, country, manager, salary in named:
        rows.append((login, name, title, department, country, manager, salary))
    for number in range(36):
        first, last = pick(rng, FIRST_NAMES), pick(rng, LAST_NAMES)
        department, manager = pick(rng, [("care", "ben"), ("care", "ben"), ("sales", "ana"), ("people", "dora")])
        title = {"care": "Care agent", "sales": "Sales assistant", "people": "Recruiter"}[department]
        rows.append(
            (f"{first}.{last}{number}".lower(), f"{first} {last}", title, department, pick(rng, list(COUNTRIES)),
             manager, whole(rng, 320, 560) * 100)
        )
    skills = ["sql", "excel", "english", "french", "japanese", "first aid", "negotiation"]
    return [
        {
            "person_id": 71 + number,
            "login": login,
            "name": name,
            "title": title,
            "department": department,
            "country": country,
            "manager": manager,
            "salary": salary,
            "hired_on": (date(2014, 3, 1) + timedelta(days=whole(rng, 0, 4_200))).isoformat(),
            "skills": sorted({pick(rng, skills) for _ in range(whole(rng, 0, 3))}),
        }
        for number, (login, name, title, department, country, manager, salary) in enumerate(rows)
    ]


def write_parquet(path, rows, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)
    pq.write_table(table, path, compression="zstd", row_group_size=200, store_schema=False)


def write_csv(path, rows, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_ndjson(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent)
    domains = parser.parse_args().out / "domains"

    utc = pa.timestamp("us", tz="UTC")
    customer_rows = customers()
    order_rows = orders(customer_rows)
    people_rows = people()

    order_schema = pa.schema(
        [
            ("order_id", pa.int64()),
            ("customer_id", pa.int64()),
            ("region", pa.string()),
            ("sku", pa.string()),
            ("quantity", pa.int32()),
            ("amount", pa.decimal128(12, 2)),
            ("channel", pa.string()),
            ("ordered_at", utc),
        ]
    )
    for month in sorted({row["month"] for row in order_rows}):
        rows = [row for row in order_rows if row["month"] == month]
        write_parquet(domains / f"sales/data/orders/month={month}/part-0.parquet", rows, order_schema)
    write_csv(
        domains / "sales/data/products.csv",
        [dict(zip(["sku", "name", "category", "list_price", "unit_cost"], row)) for row in PRODUCTS],
        delimiter=";",
    )
    customer_schema = pa.schema(
        [
            ("customer_id", pa.int64()),
            ("name", pa.string()),
            ("email", pa.string()),
            ("phone", pa.string()),
            ("birth_date", pa.date32()),
            ("segment", pa.string()),
            ("city", pa.string()),
            ("country", pa.string()),
            ("region", pa.string()),
            ("joined_on", pa.date32()),
        ]
    )
    write_parquet(domains / "crm/data/customers/part-0.parquet", customer_rows, customer_schema)
    ticket_schema = pa.schema(
        [
            ("ticket_id", pa.int64()),
            ("customer_id", pa.int64()),
            ("order_id", pa.int64()),
            ("agent", pa.string()),
            ("opened_at", utc),
            ("topic", pa.string()),
            ("urgent", pa.bool_()),
            ("body", pa.string()),
        ]
    )
    write_parquet(domains / "crm/data/tickets/part-0.parquet", tickets(order_rows, people_rows), ticket_schema)
    write_csv(domains / "logistics/data/shipments.csv", shipments(order_rows, customer_rows))
    write_csv(
        domains / "logistics/data/carriers.csv",
        [dict(zip(["carrier", "name", "promised_days"], row)) for row in CARRIERS],
    )
    write_ndjson(domains / "hr/data/people.ndjson", people_rows)


if __name__ == "__main__":
    main()
