"""ProductPublish and what happens to it, a table a module."""

from publishes.models.alarm import Alarm
from publishes.models.credential import Credential
from publishes.models.delivery import AgentLease, Delivery
from publishes.models.event import PublishEvent
from publishes.models.issuer import Issuer
from publishes.models.observation import Observation
from publishes.models.operation import Operation, OperationQuerySet
from publishes.models.publish import ProductPublish, PublishQuerySet

__all__ = [
    "AgentLease",
    "Alarm",
    "Credential",
    "Delivery",
    "Issuer",
    "Observation",
    "Operation",
    "OperationQuerySet",
    "ProductPublish",
    "PublishEvent",
    "PublishQuerySet",
]
