"""What the agent says that it carries, and whom it lets in."""

from pathlib import Path
from uuid import uuid4

from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec
from agent.work.carried import carried_now, let_in
from tests.agent.bench import Bench
from tests.agent.doubles import live


def with_keys(spec: Spec, *consumers: str) -> Spec:
    keys = tuple(ApiKey(id=uuid4(), consumer=name, fingerprint=name, secret=name) for name in consumers)
    return spec.model_copy(update={"auth": Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys)})


def test_the_keys_named_are_those_of_exactly_the_generation_that_was_reported(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    first = with_keys(live(), "switched-off-later")
    bench.bring(first)
    reported = carried_now(bench.driver, bench.store.records)
    (named,) = let_in(reported, bench.store.records, of=[first.publish_id])
    assert (named.generation, named.keys) == (1, tuple(key.id for key in first.auth.keys))
    bench.bring(with_keys(first, "made-since").model_copy(update={"generation": 2}))
    assert let_in(reported, bench.store.records, of=[first.publish_id]) == []
    bench.worker.stop(timeout_s=5)
