"""What all tests share: no test fails because the machine was busy; what is asked of SQLite is noted."""

import pytest
from hypothesis import settings

from helpers.statements import record_statements

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

record_statements()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at all that the tests did comes after them."""
    items.sort(key=lambda item: item.get_closest_marker("after_all_others") is not None)
