"""A state machine over the whole: real code on both sides, every step and fault chosen by Hypothesis."""

import pytest

pytest.register_assert_rewrite("tests.machine.system")
