"""Calls the health service at argv[1] with each token that a line of stdin names.

Writes a line of JSON for each call: the status, and the metadata that a client reads.
"""

import json
import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1])
check = channel.unary_unary("/grpc.health.v1.Health/Check")
watch = channel.unary_stream("/grpc.health.v1.Health/Watch")

for line in sys.stdin:
    kind, token = line.rstrip("\n").split(" ", 1)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    answer = {}
    try:
        if kind == "unary":
            _, call = check.with_call(b"", metadata=metadata, timeout=30)
        else:
            call = watch(b"", metadata=metadata, timeout=30)
            answer["message"] = next(call).hex()
            if kind == "held":
                print(json.dumps(answer), flush=True)
                for _ in call:
                    pass
        answer["status"] = "OK"
        answer["initial"] = dict(call.initial_metadata())
        if kind == "stream":
            call.cancel()
    except grpc.RpcError as error:
        answer["status"] = error.code().name
        answer["details"] = error.details()
        answer["initial"] = dict(error.initial_metadata())
        answer["trailing"] = dict(error.trailing_metadata())
    print(json.dumps(answer), flush=True)
