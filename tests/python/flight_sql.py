"""Flight SQL's messages by hand: protobuf has few parts, and these are all that the tests send."""

SQL = "type.googleapis.com/arrow.flight.protocol.sql."


def varint(number):
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def field(number, value):
    """None is left out; text, bytes, a whole number or a boolean."""
    if value is None:
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*values):
    """Fields 1, 2, …; a list is a repeated field."""
    parts = b""
    for number, value in enumerate(values, start=1):
        for item in value if isinstance(value, list) else [value]:
            parts += field(number, item)
    return parts


def command(name, *values):
    """Wrapped in `Any`, as commands and Flight SQL's actions are."""
    return message(SQL + name, message(*values))


def fields(data):
    """{number: [values]} of a message, whole numbers and bytes."""
    found = {}
    at = 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(data):
        key = read()
        if key & 7 == 0:
            value = read()
        elif key & 7 == 2:
            length = read()
            value = data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")
        found.setdefault(key >> 3, []).append(value)
    return found


def unpacked(data):
    """The fields of the message inside an `Any`."""
    return fields(fields(data)[2][0])
