"""The worker's connection to the broker: constant retry pauses, where Celery's own grow to half a minute."""

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

RETRY_S = 0.5


class Consumer(CeleryConsumer):
    """Named by the setting `CELERY_WORKER_CONSUMER`."""

    def ensure_connected(self, conn: Any) -> Any:
        """Celery's method with a constant pause between two tries."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=RETRY_S, interval_step=0, interval_max=RETRY_S
        )
        return super().ensure_connected(conn)
