"""The differences between a file and a workspace, as steps in their order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from core.models import Label
from core.records import Record
from publishes.declarations import do, files, present
from publishes.declarations.present import GATEWAY, PRODUCT, PUBLISH, SERVICE, Refused, Workspace
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call of one verb. `run` makes it, and returns the operation if there is one to wait for."""

    verb: str
    kind: str
    name: str
    about: str = ""
    run: Callable[[], Operation | None]

    def __str__(self) -> str:
        return f"{self.verb:9} {self.kind:8} {self.name}{f'  ({self.about})' if self.about else ''}"


def plan(actor: Actor, file: files.File) -> list[Step]:
    """The steps that bring the workspace to the file; none when nothing differs. Raises Refused."""
    workspace = Workspace.of(actor)
    planner = _Planner(actor, file, workspace)
    return [*planner.services(), *planner.products(), *planner.gateways(), *planner.publishes()]


@dataclass(frozen=True)
class _Planner:
    actor: Actor
    file: files.File
    workspace: Workspace

    def services(self) -> Iterator[Step]:
        for declared in self.file.services:
            row = self.workspace.services.get(declared.name)
            yield from self._adoption(SERVICE, declared.name, row)
            current = present.service_as_declared(row) if row else None
            if current != declared:
                yield self._step(
                    SERVICE,
                    declared.name,
                    current=current,
                    declared=declared,
                    run=partial(do.put_service, self.actor, self.file.namespace, declared),
                )

    def products(self) -> Iterator[Step]:
        for declared in self.file.products:
            row = self.workspace.product_of(self.file.namespace, declared.full_name)
            yield from self._adoption(PRODUCT, declared.full_name, row)
            current = present.product_as_declared(row) if row else None
            if current != declared:
                yield self._step(
                    PRODUCT,
                    declared.full_name,
                    current=current,
                    declared=declared,
                    run=partial(do.put_product, self.actor, self.file.namespace, declared, row=row),
                )

    def gateways(self) -> Iterator[Step]:
        for declared in self.file.gateways:
            row = self.workspace.gateways.get(declared.name)
            yield from self._adoption(GATEWAY, declared.name, row)
            current = present.gateway_as_declared(row) if row else None
            if current != declared:
                yield self._step(
                    GATEWAY,
                    declared.name,
                    current=current,
                    declared=declared,
                    run=partial(do.put_gateway, self.actor, self.file.namespace, declared),
                )

    def publishes(self) -> Iterator[Step]:
        for declared in self.file.publishes:
            candidates = self.workspace.publish_of(self.file.namespace, declared)
            if len(candidates) > 1:
                hostnames = ", ".join(publish.hostname_base for publish in candidates)
                raise Refused(
                    f"{declared.name}: {len(candidates)} publishes fit. "
                    f"Say which by its hostname: {hostnames}."
                )
            row = candidates[0] if candidates else None
            yield from self._adoption(PUBLISH, declared.name, row)
            current = present.publish_as_declared(row, name=declared.name) if row else None
            if row is None or (
                current is not None and _settings(current, declared) != _settings(declared, declared)
            ):
                _refuse_unless_draft(row, declared.name)
                yield self._step(
                    PUBLISH,
                    declared.name,
                    current=current,
                    declared=declared,
                    run=partial(do.put_publish, self.actor, self.file.namespace, declared),
                )
            yield from self._verb(row, declared)

    def _verb(self, row: ProductPublish | None, declared: files.Publish) -> Iterator[Step]:
        state = present.publish_as_declared(row, name="").state if row else "draft"
        if state == declared.state:
            return
        if declared.state == "draft" or (state, declared.state) == ("draft", "withdrawn"):
            raise Refused(f"{declared.name}: from {state} it cannot become {declared.state}.")
        verb = "publish" if declared.state == "published" else "withdraw"
        run = do.publish if verb == "publish" else do.withdraw
        yield Step(
            verb=verb,
            kind=PUBLISH,
            name=declared.name,
            run=partial(run, self.actor, self.file.namespace, declared),
        )

    def _adoption(self, kind: str, name: str, row: Record | None) -> Iterator[Step]:
        """An existing object becomes the namespace's. Raises Refused when it belongs to another namespace."""
        label = self.workspace.labels.get(row.pk) if row else None
        if label is not None and (label.namespace, label.name) != (self.file.namespace, name):
            raise Refused(
                f"{kind} {name} belongs to the namespace {label.namespace}. "
                "Take it out of that file first, or out of this one."
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
        kind: str,
        name: str,
        *,
        current: BaseModel | None,
        declared: BaseModel,
        run: Callable[[], Operation | None],
    ) -> Step:
        if current is None:
            return Step(verb="create", kind=kind, name=name, run=run)
        before, after = current.model_dump(), declared.model_dump()
        return Step(
            verb="change",
            kind=kind,
            name=name,
            about=", ".join(key for key in after if before[key] != after[key] and after[key] != ""),
            run=run,
        )


def prune(actor: Actor, file: files.File) -> list[Step]:
    """Steps that delete what carries the namespace's label and is no longer in the file, and nothing else."""
    declared_names = {
        PUBLISH: {publish.name for publish in file.publishes},
        GATEWAY: {gateway.name for gateway in file.gateways},
        PRODUCT: {product.full_name for product in file.products},
        SERVICE: {service.name for service in file.services},
    }
    labels = Label.objects.filter(tenant_id=actor.tenant_id, namespace=file.namespace)
    rows = sorted(
        (label for label in labels if label.name not in declared_names[label.kind]),
        key=lambda label: (list(declared_names).index(label.kind), label.name),
    )
    return [
        Step(verb="delete", kind=label.kind, name=label.name, run=partial(do.remove, actor, label))
        for label in rows
    ]


def _settings(publish: files.Publish, declared: files.Publish) -> dict[str, object]:
    """The compared settings: not the state, which has its own step, and not what the file leaves out."""
    ignored = {"state", *(name for name in ("hostname", "auth_config") if not getattr(declared, name))}
    return publish.model_dump(exclude=ignored)


def _refuse_unless_draft(row: ProductPublish | None, name: str) -> None:
    if row is not None and row.status != "DRAFT":
        raise Refused(
            f"{name} is {row.status}, and only a draft can be changed. "
            "Declare it under a new name, and take this one out of the file (--prune)."
        )
