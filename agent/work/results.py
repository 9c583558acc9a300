"""The results of a batch, one per spec: stale, refused, unreachable or proved. Pure functions."""

from agent.drivers.base import Refused, Unreachable
from agent.protocol.messages import Evidence, Outcome, Result
from agent.protocol.spec import Spec


def stale(spec: Spec, highest: int) -> Result:
    """STALE: the agent or its gateway has a higher generation."""
    message = (
        f"Generation {spec.generation} comes after generation {highest}, which this agent or its gateway has."
    )
    result = _result(spec, Outcome.STALE, step="generation", code="stale", message=message)
    return result.model_copy(update={"highest_generation": highest})


def other_content(spec: Spec) -> Result:
    """STALE: this very generation is known with another content."""
    message = f"Generation {spec.generation} is here already, with other content."
    return _result(spec, Outcome.STALE, step="generation", code="other_content", message=message)


def refused(spec: Spec, refusal: Refused, *, step: str) -> Result:
    """REFUSED, for good, with the guilty part."""
    return _result(
        spec,
        Outcome.REFUSED,
        step=step,
        code=refusal.code,
        message=str(refusal),
        entity=refusal.entity,
        field=refusal.field,
    )


def unreachable(spec: Spec, problem: Unreachable, *, step: str) -> Result:
    """UNREACHABLE: worth another attempt."""
    return _result(spec, Outcome.UNREACHABLE, step=step, code=problem.code, message=str(problem))


def verified(spec: Spec, evidence: Evidence) -> Result:
    """VERIFIED: the gateway serves the spec."""
    return _result(spec, Outcome.VERIFIED, step="verify", evidence=evidence)


def _result(
    spec: Spec,
    outcome: Outcome,
    *,
    step: str,
    code: str = "",
    message: str = "",
    entity: str = "",
    field: str = "",
    evidence: Evidence | None = None,
) -> Result:
    """A result that names the spec, and its generation as the highest."""
    return Result(
        publish_id=spec.publish_id,
        generation=spec.generation,
        digest=spec.digest,
        outcome=outcome,
        step=step,
        code=code,
        message=message,
        entity=entity,
        field=field,
        highest_generation=spec.generation,
        evidence=evidence or Evidence(),
    )
