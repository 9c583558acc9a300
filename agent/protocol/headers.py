"""Names of request headers that gateways keep for themselves; the same on every kind of gateway."""

CONSUMER_HEADER = "imp-consumer"
"""The header by which every gateway tells an upstream the consumer of the key."""

NEVER_PASSED_ON = (
    CONSUMER_HEADER,
    "forwarded",
    "x-forwarded-server",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
)
"""Header names that reach no upstream when a caller sends them, on any publish, in any spelling.

CGI and WSGI read `imp_consumer` as the same name.
"""

SET_BY_GATEWAYS = (
    *(
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-path",
    ),
    *("x-real-ip", "x-request-id"),
)
"""Headers that a gateway itself may set; a caller's other spellings of them reach no upstream either."""
