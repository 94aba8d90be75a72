"""What a client reads when the answer is no."""

import re

import pytest


def refusal(weft, user, sql, **options):
    with pytest.raises(Exception) as caught:
        weft.rows(user, sql, **options)
    return str(caught.value)


def without_query_id(text):
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", text)


def test_a_wrong_password_and_an_unknown_user_read_the_same(demo):
    wrong = refusal(demo, "ana", "SELECT 1", password="guess")
    unknown = refusal(demo, "nobody", "SELECT 1", password="guess")
    assert "UNAUTHENTICATED" in wrong.upper()
    assert wrong == unknown


@pytest.mark.parametrize("other", ["hr.salaries", "hr.people_", "nowhere.orders", "acme2.hr.people"])
def test_a_hidden_table_reads_as_one_that_never_was(demo, other):
    def shape(name):
        text = without_query_id(refusal(demo, "dora", f"SELECT * FROM {name}"))
        assert name in text
        return text.replace(name, "<name>")

    assert shape("sales.orders") == shape(other)


def test_a_hidden_column_reads_as_one_that_never_was(demo):
    hidden = without_query_id(refusal(demo, "ana", "SELECT phone FROM crm.customers"))
    never = without_query_id(refusal(demo, "ana", "SELECT fones FROM crm.customers"))
    assert hidden.replace("phone", "<name>") == never.replace("fones", "<name>")
    assert "birth_date" not in hidden or "birth_date" in never


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM sales.orders",
        "INSERT INTO sales.orders VALUES (1)",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/weft-should-not-exist.csv'",
        "DROP TABLE sales.orders",
    ],
)
def test_weft_is_read_only(demo, sql):
    text = refusal(demo, "carla", sql)
    assert "read-only" in text, text


def test_settings_are_not_for_sql(demo):
    assert "settings" in refusal(demo, "carla", "SET datafusion.execution.target_partitions = 1")
    assert "settings" in refusal(demo, "carla", "SHOW ALL")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT sum(amount FROM sales.orders",
        "SELECT amuont FROM sales.orders",
        "SELECT no_such_function(1)",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT repeat('x', 1000000000)",
        "SELECT '" + "x" * 10_000_000 + "'",
        "",
        "SELECT 1; SELECT 2",
    ],
    ids=lambda sql: sql[:30],
)
def test_bad_queries_are_errors_and_the_server_lives_on(demo, sql):
    text = refusal(demo, "carla", sql)
    assert len(text) < 4000
    assert "panicked" not in text and "/root" not in text and ".rs:" not in text
    assert demo.rows("carla", "SELECT 1") == [(1,)]


def test_explain_shows_no_policy_and_no_paths(demo):
    rows = demo.rows("ana", "EXPLAIN SELECT name, salary FROM hr.people JOIN sales.orders ON region = country")
    text = "\n".join(str(row) for row in rows)
    for hidden in ("5000", "session", "bucket", "/mesh/", ".ndjson", "part-0", "manager ="):
        assert hidden not in text, text
