"""What the agent does for its gateway without being asked, on a clock of its own."""

from agent.work.batch import BatchParts
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.watch import Watch
from agent.work.worker import Worker
from tests.agent.bench import Bench
from tests.agent.doubles import live, until, withdrawn


def test_what_an_older_agent_wrote_is_brought_up_to_date_once_after_each_start(bench: Bench) -> None:
    spec, newer, lost = live(), live(), live()
    bench.start()
    bench.bring(spec, newer, lost)
    gateway, right = bench.gateway, bench.gateway.carried[spec.publish_id]
    gateway.carried[spec.publish_id] = right.model_copy(update={"addresses": {"in": ("another shape",)}})
    beyond = gateway.carried[newer.publish_id].model_copy(update={"spec": withdrawn(newer, generation=2)})
    gateway.carried[newer.publish_id] = beyond
    del gateway.carried[lost.publish_id]

    worker = Worker(BatchParts(driver=bench.driver, store=Store(bench.folder), pinner=Pinner(), reserved=()))
    watch = Watch(bench.driver, worker)
    gateway.away = True
    for _ in range(2):
        watch.look()
        worker.work_once()
    assert not worker.is_renewed
    gateway.away = False
    for _ in range(3):
        watch.look()
        worker.work_once()
    assert worker.is_renewed
    # What the gateway has newer, or not at all, is for the control plane to say.
    assert gateway.carried == {spec.publish_id: right, newer.publish_id: beyond}
    assert gateway.changes[1:] == [{spec.publish_id}]


def test_what_another_hand_has_changed_is_put_right_at_the_next_look(bench: Bench) -> None:
    bench.start()
    watch = Watch(bench.driver, bench.worker)
    watch.look()
    until(lambda: bench.worker.is_renewed, description="renewed once")
    bench.gateway.altered = True
    watch.look()
    until(lambda: not bench.gateway.altered, description="put right")
