"""What differs between a file and a workspace, as steps in the order in which they have to be done."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from core.models import Label
from core.records import Record
from publishes.declarations import do, files, present
from publishes.declarations.present import GATEWAY, PRODUCT, PUBLISH, SERVICE, Present, Refused
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do. `run` does it, and returns the operation if there is one to wait for."""

    verb: str
    kind: str
    name: str
    about: str = ""
    run: Callable[[], Operation | None]

    def __str__(self) -> str:
        return f"{self.verb:9} {self.kind:8} {self.name}{f'  ({self.about})' if self.about else ''}"


def plan(actor: Actor, file: files.File) -> list[Step]:
    """The steps that make the workspace what the file says. None when it is so already. Raises Refused."""
    there = Present.of(actor)
    planner = _Planner(actor, file, there)
    return [*planner.services(), *planner.products(), *planner.gateways(), *planner.publishes()]


@dataclass(frozen=True)
class _Planner:
    actor: Actor
    file: files.File
    there: Present

    def services(self) -> Iterator[Step]:
        for wanted in self.file.services:
            row = self.there.services.get(wanted.name)
            yield from self._own(SERVICE, wanted.name, row)
            now = present.service_as_declared(row) if row else None
            if now != wanted:
                yield self._step(
                    SERVICE,
                    wanted.name,
                    now=now,
                    wanted=wanted,
                    run=partial(do.put_service, self.actor, self.file.namespace, wanted),
                )

    def products(self) -> Iterator[Step]:
        for wanted in self.file.products:
            row = self.there.product_of(self.file.namespace, wanted.called)
            yield from self._own(PRODUCT, wanted.called, row)
            now = present.product_as_declared(row) if row else None
            if now != wanted:
                yield self._step(
                    PRODUCT,
                    wanted.called,
                    now=now,
                    wanted=wanted,
                    run=partial(do.put_product, self.actor, self.file.namespace, wanted, row=row),
                )

    def gateways(self) -> Iterator[Step]:
        for wanted in self.file.gateways:
            row = self.there.gateways.get(wanted.name)
            yield from self._own(GATEWAY, wanted.name, row)
            now = present.gateway_as_declared(row) if row else None
            if now != wanted:
                yield self._step(
                    GATEWAY,
                    wanted.name,
                    now=now,
                    wanted=wanted,
                    run=partial(do.put_gateway, self.actor, self.file.namespace, wanted),
                )

    def publishes(self) -> Iterator[Step]:
        for wanted in self.file.publishes:
            found = self.there.publish_of(self.file.namespace, wanted)
            if len(found) > 1:
                raise Refused(
                    f"{wanted.name}: {len(found)} publishes fit. Say which by its hostname: {', '.join(p.hostname_base for p in found)}."
                )
            row = found[0] if found else None
            yield from self._own(PUBLISH, wanted.name, row)
            now = present.publish_as_declared(row, name=wanted.name) if row else None
            if row is None or (now is not None and _settings(now, wanted) != _settings(wanted, wanted)):
                _refuse_unless_draft(row, wanted.name)
                yield self._step(
                    PUBLISH,
                    wanted.name,
                    now=now,
                    wanted=wanted,
                    run=partial(do.put_publish, self.actor, self.file.namespace, wanted),
                )
            yield from self._verb(row, wanted)

    def _verb(self, row: ProductPublish | None, wanted: files.Publish) -> Iterator[Step]:
        state = present.publish_as_declared(row, name="").state if row else "draft"
        if state == wanted.state:
            return
        if wanted.state == "draft" or (state, wanted.state) == ("draft", "withdrawn"):
            raise Refused(f"{wanted.name}: from {state} it cannot become {wanted.state}.")
        verb = "publish" if wanted.state == "published" else "withdraw"
        run = do.publish if verb == "publish" else do.withdraw
        yield Step(
            verb=verb,
            kind=PUBLISH,
            name=wanted.name,
            run=partial(run, self.actor, self.file.namespace, wanted),
        )

    def _own(self, kind: str, name: str, row: Record | None) -> Iterator[Step]:
        """What is there already becomes the namespace's, unless it is another one's."""
        label = self.there.labels.get(row.pk) if row else None
        if label is not None and (label.namespace, label.name) != (self.file.namespace, name):
            raise Refused(
                f"{kind} {name} belongs to the namespace {label.namespace}. Take it out of that file first, or out of this one."
            )
        if row is not None and label is None:
            yield Step(
                verb="adopt",
                kind=kind,
                name=name,
                run=partial(do.put_label, self.actor, self.file.namespace, kind=kind, name=name, pk=row.pk),
            )

    @staticmethod
    def _step(
        kind: str, name: str, *, now: BaseModel | None, wanted: BaseModel, run: Callable[[], Operation | None]
    ) -> Step:
        if now is None:
            return Step(verb="create", kind=kind, name=name, run=run)
        before, after = now.model_dump(), wanted.model_dump()
        return Step(
            verb="change",
            kind=kind,
            name=name,
            about=", ".join(key for key in after if before[key] != after[key] and after[key] != ""),
            run=run,
        )


def prune(actor: Actor, file: files.File) -> list[Step]:
    """Steps that take away what carries the namespace's label and stands in the file no more; nothing else is ever touched."""
    stays = {
        PUBLISH: {one.name for one in file.publishes},
        GATEWAY: {one.name for one in file.gateways},
        PRODUCT: {one.called for one in file.products},
        SERVICE: {one.name for one in file.services},
    }
    labels = Label.objects.filter(tenant_id=actor.tenant_id, namespace=file.namespace)
    rows = sorted(
        (label for label in labels if label.name not in stays[label.kind]),
        key=lambda label: (list(stays).index(label.kind), label.name),
    )
    return [
        Step(verb="delete", kind=label.kind, name=label.name, run=partial(do.take_away, actor, label))
        for label in rows
    ]


def _settings(publish: files.Publish, wanted: files.Publish) -> dict[str, object]:
    """What is compared of a publish: its state is a step of its own, and what the file leaves to us is ours."""
    left = {"state", *(name for name in ("hostname", "auth_config") if not getattr(wanted, name))}
    return publish.model_dump(exclude=left)


def _refuse_unless_draft(row: ProductPublish | None, name: str) -> None:
    if row is not None and row.status != "DRAFT":
        raise Refused(
            f"{name} is {row.status}, and only a draft can be changed. Declare it under a new name, and take this one out of the file (--prune)."
        )
