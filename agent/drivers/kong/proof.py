"""The proof of live on Kong: the answers that its markers have to give.

Markers carry the generation in path and body, because request-termination sets no headers.
"""

from uuid import UUID

from agent.drivers import proof
from agent.drivers.base import PinnedSpec
from agent.drivers.kong import markers
from agent.drivers.proof import Answer, Question
from agent.protocol.messages import Evidence
from agent.protocol.spec import AuthMode, State

PROOF_S = 20.0
"""Seconds, above Kong's default consistency: five for the database, five for the workers, and time to ask."""


def prove_live(pinned_spec: PinnedSpec, proxy: tuple[str, int]) -> Evidence:
    """Callers meet this spec, at every worker. Raises Unproved."""
    return proof.prove(questions_of(pinned_spec), proxy=proxy, deadline_s=PROOF_S)


def prove_closed(pinned_spec: PinnedSpec, proxy: tuple[str, int]) -> None:
    """Every worker refuses callers without credentials and has this generation's plugins. Raises Unproved.

    The 401 tells that the router knows this generation's auth marker, but an older plugin may have sent it.
    The body of the other markers was written after all that guards the services, so it tells the rest.
    """
    expected = markers.other_generation_body(pinned_spec.spec).encode()
    gate = Question(
        host=pinned_spec.probe_host,
        path=f"{proof.marker_prefix(pinned_spec.spec)}/gate",
        judge=lambda answer: "" if answer.body == expected else _describe(answer),
    )
    proof.prove((_auth_question(pinned_spec), gate), proxy=proxy, deadline_s=PROOF_S)


def prove_no_route(publish: UUID, host: str, generation: int, proxy: tuple[str, int]) -> None:
    """No worker has a route of the publish any more: none knows its former marker. Raises Unproved."""
    question = Question(host=host, path=f"/.well-known/imp/{publish}/{generation}", judge=_judge_absent)
    proof.prove((question,), proxy=proxy, deadline_s=PROOF_S)


def questions_of(pinned_spec: PinnedSpec) -> tuple[Question, ...]:
    """The questions that prove a spec."""
    spec, generation = pinned_spec.spec, str(pinned_spec.spec.generation)
    if not pinned_spec.probe_host:
        return ()
    expected = {
        State.LIVE: (200, generation),
        State.WITHDRAWN: (410, markers.withdrawn_body(spec.generation)),
    }

    def judge(answer: Answer) -> str:
        status, body = expected[spec.state]
        return "" if (answer.status, answer.body) == (status, body.encode()) else _describe(answer)

    marker = Question(
        host=pinned_spec.probe_host,
        path=proof.marker_path(spec),
        judge=_judge_absent if spec.state == State.ABSENT else judge,
    )
    return (
        (marker,)
        if spec.state != State.LIVE or spec.auth.mode == AuthMode.NONE
        else (marker, _auth_question(pinned_spec))
    )


def _auth_question(pinned_spec: PinnedSpec) -> Question:
    return Question(
        host=pinned_spec.probe_host, path=proof.auth_marker_path(pinned_spec.spec), judge=_judge_closed
    )


def _judge_closed(answer: Answer) -> str:
    return "" if answer.status == 401 else f"{_describe(answer)} where it asks for credentials"


def _judge_absent(answer: Answer) -> str:
    # A worker that still has a route answers with our body, or has lost the plugin and says that there is no
    # service.
    is_ours = (
        answer.status == 503
        or markers.OTHER_GENERATION.encode() in answer.body
        or answer.status in {0, 410}
        or answer.body.isdigit()
    )
    return _describe(answer) if is_ours else ""


def _describe(answer: Answer) -> str:
    return (
        f"the proxy answered {answer.status}"
        if answer.status
        else "the proxy closed the connection without an answer"
    )
