"""Nobody adds a URL without saying who may come in there; tests/doors tries what was said."""

from tests.doors.rows import OPERATORS_ALONE, ROWS
from tests.doors.urls import routes


def test_every_url_has_a_row() -> None:
    there = [route for route in routes() if not route.startswith(OPERATORS_ALONE)]
    missing = [route for route in there if route not in ROWS]
    gone = [route for route in ROWS if route not in there]
    assert missing == [], (
        f"Nobody has said who may come in here. Add a line for each to ROWS in tests/doors/rows.py: {missing}"
    )
    assert gone == [], f"These URLs are no more. Take their lines out of tests/doors/rows.py: {gone}"
