"""Tables of earlier versions are brought forward in one transaction."""

import sqlite3
from contextlib import closing

from lookalike.gallery.about import SCHEMA, first_about
from lookalike.gallery.sqlite_tables import TABLES, has_tables, upgrade

ABOUT = {"fingerprint": "f", "precision": "float32", "dimensions": "2"}


def test_the_version_before_gets_the_table_of_facts_and_another_name() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        assert not has_tables(connection)
        for statement in TABLES:
            connection.execute(statement)
        about = first_about(ABOUT)
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.execute("DROP TABLE facts")
        connection.execute("UPDATE about SET value = '3' WHERE name = 'schema'")
        upgrade(connection)
        now = dict(connection.execute("SELECT name, value FROM about"))
        assert now["schema"] == str(SCHEMA)
        assert now["gallery"] != about["gallery"]
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (0,)
        upgrade(connection)
        assert dict(connection.execute("SELECT name, value FROM about")) == now, "another process did it already"
