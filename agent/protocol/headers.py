"""Names of request headers that gateways keep for themselves; the same on every kind of gateway."""

CONSUMER_HEADER = "imp-consumer"
"""The header by which every gateway tells an upstream whose key it was."""

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
"""What a gateway itself may say of a caller: in any other spelling these reach no upstream either."""
