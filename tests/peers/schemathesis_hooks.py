"""What Schemathesis does not know by itself: modules are sent as the bytes that they are."""

import schemathesis


@schemathesis.serializer("application/wasm")
def wasm(_context, value):
    return {"data": value if isinstance(value, bytes) else str(value).encode()}
