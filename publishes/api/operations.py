"""The JSON API of operations: how far each run of a verb is, stopping one, and trying a failed one again."""

from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.idempotency import begin, talks_first
from core.api.paging import PageIn, page_of
from publishes.api.answers import accepted
from publishes.api.schemas import OperationOut
from publishes.choices import Kind, Phase
from publishes.reading.facts import selectors
from publishes.verbs import cancelling, retrying
from tenants.api.callers import actor_of

router = Router(tags=["operations"])


class OperationFilters(Schema):
    """What the list is narrowed to."""

    publish_id: UUID | None = None
    kind: Kind | None = None
    phase: Phase | None = None
    open: bool | None = Field(None, description="true: what is going on; false: what has ended.")


@router.get("/operations", response=list[OperationOut], summary="Operations")
def list_operations(
    request: HttpRequest, response: HttpResponse, filters: Query[OperationFilters], paging: Query[PageIn]
) -> list[OperationOut]:
    """Of all publishes of the workspace, newest first; those of deleted publishes too."""
    exact = filters.model_dump(exclude_none=True)
    rows = selectors.operations_of(actor_of(request), is_open=exact.pop("open", None), **exact)
    return [OperationOut.of(operation) for operation in page_of(request, response, rows=rows, paging=paging)]


@router.get("/operations/{uuid:operation_id}", response=OperationOut, summary="One operation")
def get_operation(request: HttpRequest, operation_id: UUID) -> OperationOut:
    """How far it is, agent by agent. Stays readable after its publish was deleted."""
    return OperationOut.of(selectors.operation_of(actor_of(request), operation_id))


@router.post(
    "/operations/{uuid:operation_id}/cancel",
    response=OperationOut,
    summary="Cancel a publish that is going on",
)
def cancel_operation(request: HttpRequest, operation_id: UUID) -> OperationOut:
    """It ends as CANCELLED, and a revert puts back the content before it on every agent.

    Withdrawals and deletions cannot be cancelled (409).
    """
    actor = actor_of(request)
    operation = selectors.operation_of(actor, operation_id)
    actor.require_write()
    cancelling.cancel(actor, operation.publish_id, operation_id=operation_id)
    return OperationOut.of(selectors.operation_of(actor, operation_id))


@router.post(
    "/operations/{uuid:operation_id}/retry",
    response={202: OperationOut},
    summary="Try a failed operation again",
)
@talks_first
def retry_operation(request: HttpRequest, response: HttpResponse, operation_id: UUID) -> Status[OperationOut]:
    """A new operation with the product as it is now. 409 unless the last request for its publish failed."""
    actor = actor_of(request)
    operation = selectors.operation_of(actor, operation_id)
    actor.require_write()
    retried = retrying.retry(
        actor, operation.publish_id, operation_id=operation_id, work=partial(begin, request)
    )
    # Only a publish that was never sent is deleted without an operation, and this one was sent.
    assert retried is not None  # noqa: S101
    return accepted(request, response, retried)
