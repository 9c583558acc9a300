"""The file: what may stand in it, and how it is read and written. Knows nothing of the database."""

from typing import Annotated, Any, Literal, Self

import yaml
from django.core.exceptions import ValidationError as Refused
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.problems import Invalid
from products.catalogue import upstream_urls
from products.models import METHODS


def _same_url(text: str) -> str:
    try:
        return str(upstream_urls.parse(text))
    except Refused:
        return text  # the form says what is wrong with it


def _in_order(methods: list[str]) -> list[str]:
    return sorted(methods, key=lambda name: METHODS.index(name) if name in METHODS else len(METHODS))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Route(_Part):
    """A path of a service. No methods means all."""

    path: str
    methods: Annotated[list[str], AfterValidator(_in_order)] = []
    strip_path: bool = False
    is_active: bool = True


class Service(_Part):
    """An API service with its upstream and routes."""

    name: str
    version: str = ""
    description: str = ""
    status: str = "active"
    upstream_url: Annotated[str, AfterValidator(_same_url)]
    connect_timeout_ms: int = 5_000
    timeout_ms: int = 60_000
    routes: list[Route] = []


class Product(_Part):
    """A product, and the services linked to it by name."""

    name: str
    version: str
    description: str = ""
    categories: list[str] = []
    docs_url: str = ""
    logo_url: str = ""
    status: Literal["draft", "active", "archived"] = "active"
    services: Annotated[list[str], AfterValidator(sorted)] = []

    @property
    def full_name(self) -> str:
        """Name and version, as a publish names the product."""
        return f"{self.name} {self.version}"


class Listener(_Part):
    """A port of a gateway."""

    port: int
    protocol: str = "HTTP"
    name: str = ""

    @model_validator(mode="after")
    def _with_name(self) -> Self:
        return self if self.name else self.model_copy(update={"name": f"{self.protocol.lower()}-{self.port}"})


class Gateway(_Part):
    """A gateway with its listeners, standing in clusters by name."""

    name: str
    gateway_class: str = "envoy"
    status: str = "active"
    listeners: list[Listener]
    clusters: Annotated[list[str], AfterValidator(sorted)]


class Publish(_Part):
    """A publish and its declared state. Only files know its name. Without a hostname we choose one."""

    name: str = Field(max_length=200)
    product: str
    cluster: str
    gateway: str
    environment: str = "dev"
    auth_mode: str = "none"
    auth_config: dict[str, Any] = {}
    visibility: str = "public"
    approval_required: bool = True
    hostname: str = ""
    state: Literal["draft", "published", "withdrawn"] = "published"


class File(_Part):
    """All objects of one namespace."""

    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    services: list[Service] = []
    products: list[Product] = []
    gateways: list[Gateway] = []
    publishes: list[Publish] = []

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names_by_part = {
            "services": [service.name for service in self.services],
            "products": [product.full_name for product in self.products],
            "gateways": [gateway.name for gateway in self.gateways],
            "publishes": [publish.name for publish in self.publishes],
        }
        for part, names in names_by_part.items():
            if duplicates := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{part}: {', '.join(duplicates)} stands there twice.")
        return self


def load(text: str) -> File:
    """The file. Raises Invalid with a reason per place."""
    try:
        return File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as problem:
        raise Invalid(fields={"file": [str(problem)]}) from problem
    except ValidationError as problem:
        fields: dict[str, list[Any]] = {}
        for error in problem.errors():
            fields.setdefault(".".join(str(part) for part in error["loc"]) or "file", []).append(error["msg"])
        raise Invalid(fields=fields) from problem


def dump(file: File) -> str:
    """The file as YAML, without values that are defaults."""
    return yaml.safe_dump(
        file.model_dump(mode="json", exclude_defaults=True), allow_unicode=True, sort_keys=False
    )
