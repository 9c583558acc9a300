"""Nobody adds a URL without saying who may come in there; tests/doors tries what was said."""

from tests.doors.rows import OPERATORS_ALONE, ROWS
from tests.doors.urls import routes


def test_every_url_has_a_row() -> None:
    existing = [route for route in routes() if not route.startswith(OPERATORS_ALONE)]
    missing = [route for route in existing if route not in ROWS]
    outdated = [route for route in ROWS if route not in existing]
    assert missing == [], (
        f"Nobody has said who may come in here. Add a line for each to ROWS in tests/doors/rows.py: {missing}"
    )
    assert outdated == [], f"These URLs are no more. Take their lines out of tests/doors/rows.py: {outdated}"
