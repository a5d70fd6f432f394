"""A gRPC server and client that are not ours: gRPC's own C core, by Python.

`serve` prints its port and ends with its standard input. `call ADDRESS` makes every kind of call and prints what
came, a line each; it fails at the first that is not as it should be. Messages are plain bytes, so nothing has to be
generated.
"""

import sys
from concurrent import futures

import grpc


def unary(request, context):
    context.send_initial_metadata((("x-initial", "begun"),))
    context.set_trailing_metadata((("x-trailing", "done"), ("x-binary-bin", b"\x00\xff")))
    return request


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def add(requests, context):
    return b"%d" % sum(int(request) for request in requests)


def chat(requests, context):
    for request in requests:
        yield b"heard " + request


def fail(request, context):
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "none left: 100 %")


def slow(request, context):
    context.add_callback(lambda: print("cancelled", flush=True))
    while context.is_active():
        yield b"tick"


def serve():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Add": grpc.stream_unary_rpc_method_handler(add),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Slow": grpc.unary_stream_rpc_method_handler(slow),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("peer", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")
    print(what)


def call(address):
    with grpc.insecure_channel(address) as channel:
        for size in (0, 10, 1_000_000):
            message = b"x" * size
            reply, made = channel.unary_unary("/peer/Unary").with_call(message, timeout=20)
            expect(f"unary {size}", reply, message)
            trailing = dict(made.trailing_metadata())
            expect("initial metadata", dict(made.initial_metadata()).get("x-initial"), "begun")
            expect("trailing metadata", (trailing["x-trailing"], trailing["x-binary-bin"]), ("done", b"\x00\xff"))
        found = list(channel.unary_stream("/peer/Count")(b"1000", timeout=20))
        expect("server streaming", found, [b"%d" % number for number in range(1000)])
        found = channel.stream_unary("/peer/Add")((b"%d" % number for number in range(1000)), timeout=20)
        expect("client streaming", found, b"499500")
        said = [b"%d" % number for number in range(100)]
        found = list(channel.stream_stream("/peer/Chat")(iter(said), timeout=20))
        expect("both ways", found, [b"heard " + word for word in said])
        try:
            channel.unary_unary("/peer/Fail")(b"", timeout=20)
            sys.exit("an error: there was none")
        except grpc.RpcError as error:
            expect("an error", (error.code(), error.details()), (grpc.StatusCode.RESOURCE_EXHAUSTED, "none left: 100 %"))
        try:
            channel.unary_unary("/peer/Nothing")(b"", timeout=20)
            sys.exit("a method that is not there: there is one")
        except grpc.RpcError as error:
            expect("a method that is not there", error.code(), grpc.StatusCode.UNIMPLEMENTED)
        try:
            for _ in channel.unary_stream("/peer/Slow")(b"", timeout=0.5):
                pass
            sys.exit("a deadline: it had none")
        except grpc.RpcError as error:
            expect("a deadline", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


if sys.argv[1] == "serve":
    serve()
else:
    call(sys.argv[2])
