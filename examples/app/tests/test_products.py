"""The products' own tests: python3 -m unittest discover tests."""

from __future__ import annotations

import json
import sqlite3
import unittest
from contextlib import closing
from unittest import mock

from shop import products


class ProductsTest(unittest.TestCase):
    """The database after its migrations."""

    def test_migrations_fill_the_database(self) -> None:
        """A new database has all that the migrations bring."""
        self.assertEqual(json.loads(products.load())[0], {"name": "Apples", "cents": 290})

    def test_a_migration_is_applied_once(self) -> None:
        """A database that has had some of them gets the others."""
        with closing(sqlite3.connect(":memory:")) as database:
            products.migrate(database)
            added = (*products.MIGRATIONS, ("003 milk", "INSERT INTO products VALUES ('Milk', 150)"))
            with mock.patch.object(products, "MIGRATIONS", added):
                products.migrate(database)
            self.assertEqual(database.execute("SELECT count(*) FROM products").fetchone(), (3,))

    def test_a_migration_that_fails_is_named(self) -> None:
        """The shop does not start, and says why."""
        with (
            mock.patch.object(products, "MIGRATIONS", (("001 typo", "CREATE TABEL products"),)),
            self.assertRaisesRegex(SystemExit, "the migration 001 typo failed: near"),
        ):
            products.load()
