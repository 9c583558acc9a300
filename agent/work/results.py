"""The results of a batch, one per spec: stale, refused, unreachable or proved. Pure functions."""

from agent.drivers.base import Refused, Unreachable
from agent.protocol.messages import Outcome, Result
from agent.protocol.spec import Spec


def stale(spec: Spec, highest: int) -> Result:
    """STALE: the agent or its gateway has a higher generation."""
    message = (
        f"Generation {spec.generation} comes after generation {highest}, which this agent or its gateway has."
    )
    return result(spec, Outcome.STALE, step="generation").model_copy(
        update={"code": "stale", "message": message, "highest_generation": highest}
    )


def other_content(spec: Spec) -> Result:
    """STALE: this very generation is known with another content."""
    message = f"Generation {spec.generation} is here already, with other content."
    return stale(spec, spec.generation).model_copy(update={"code": "other_content", "message": message})


def refused(spec: Spec, refusal: Refused, *, step: str) -> Result:
    """REFUSED, for good, with the guilty part."""
    words = {"code": refusal.code, "message": str(refusal), "entity": refusal.entity, "field": refusal.field}
    return result(spec, Outcome.REFUSED, step=step).model_copy(update=words)


def unreachable(spec: Spec, problem: Unreachable, *, step: str) -> Result:
    """UNREACHABLE: worth another attempt."""
    return result(spec, Outcome.UNREACHABLE, step=step).model_copy(
        update={"code": problem.code, "message": str(problem)}
    )


def result(spec: Spec, outcome: Outcome, *, step: str) -> Result:
    """A result that names the spec, and its generation as the highest."""
    return Result(
        publish_id=spec.publish_id,
        generation=spec.generation,
        digest=spec.digest,
        outcome=outcome,
        step=step,
        highest_generation=spec.generation,
    )
