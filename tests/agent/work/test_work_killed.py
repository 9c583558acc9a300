"""The single writer killed at every point: after a start, disk and gateway agree again."""

import pytest

from agent.protocol.messages import Outcome
from tests.agent.bench import Bench, results_of
from tests.agent.doubles import live, until, withdrawn


class Killed(BaseException):
    """Stands for kill -9: no handler of the agent may see it."""


def kill_at(bench: Bench, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    def at(reached: str) -> None:
        if reached == point:
            raise Killed

    if point.startswith("store."):
        monkeypatch.setattr(bench.store, point.removeprefix("store."), die)
    else:
        bench.gateway.before = at


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("point", ["observe", "store.accept", "apply", "swap", "verify", "store.settle"])
@pytest.mark.parametrize("prior", ["nothing", "live", "withdrawn"])
def test_killed_anywhere_the_same_command_or_the_disk_completes_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, point: str, prior: str
) -> None:
    bench.start()
    spec = live(generation=1)
    bystander = live()
    prior_specs = {"live": [spec], "withdrawn": [withdrawn(spec, generation=1)]}
    bench.bring(bystander, *prior_specs.get(prior, []))
    second_spec = live(spec.publish_id, generation=2)
    kill_at(bench, point, monkeypatch)
    tickets = bench.submit(second_spec)
    until(lambda: not bench.worker.thread.is_alive(), description="the worker is dead")
    assert not tickets[0].job.finished.is_set()
    # The publish shows its old state or its new one, never something between; the other one is untouched.
    assert bench.carried(second_spec) in ({None, 2} if prior == "nothing" else {1, 2})
    assert bench.carried(bystander) == 1

    bench.gateway.before = lambda _point: None
    monkeypatch.undo()
    bench.open()
    recovered = bench.start()
    assert len(recovered) == (0 if point in {"observe", "store.accept"} else 1)
    assert {result.outcome for result in results_of(recovered)} <= {Outcome.VERIFIED}
    if not recovered:
        assert bench.bring(second_spec)[0].outcome == Outcome.VERIFIED
    assert bench.carried(second_spec) == 2
    assert bench.store.pending() == []
    assert sum(spec.publish_id in change for change in bench.gateway.changes) == (
        1 if prior == "nothing" else 2
    )
