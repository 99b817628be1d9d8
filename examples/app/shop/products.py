"""The shop's products, in a database that migrations bring up to date when the shop starts.

The database is in memory, so that the example needs no other service.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing

_LOG = logging.getLogger("shop")
MIGRATIONS = (
    ("001 products", "CREATE TABLE products (name TEXT PRIMARY KEY, cents INTEGER NOT NULL)"),
    ("002 fruit and bread", "INSERT INTO products VALUES ('Apples', 290), ('Bread', 420)"),
)
"""Each is applied once, in this order; a new one goes to the end."""


def load() -> bytes:
    """Migrate the database, and return what it holds as JSON."""
    with closing(sqlite3.connect(":memory:")) as database:
        migrate(database)
        rows = database.execute("SELECT name, cents FROM products ORDER BY name").fetchall()
    return json.dumps([{"name": name, "cents": cents} for name, cents in rows]).encode()


def migrate(database: sqlite3.Connection) -> None:
    """Apply what has not been applied yet: the database knows how many have."""
    (done,) = database.execute("PRAGMA user_version").fetchone()
    for number, (name, statement) in enumerate(MIGRATIONS[done:], done + 1):
        try:
            with database:
                database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
        except sqlite3.Error as error:
            raise SystemExit(f"the migration {name} failed: {error}") from None
        _LOG.info("migration %s", name)
