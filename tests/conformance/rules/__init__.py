"""The rules by theme, in the order of a client's life."""

from . import (  # noqa: F401
    handshake,
    flight_info,
    do_get,
    schemas,
    types,
    metadata,
    sql_info,
    prepared,
    parameters,
    sessions,
    actions,
    cancel,
    handles,
    errors,
    transport,
)
