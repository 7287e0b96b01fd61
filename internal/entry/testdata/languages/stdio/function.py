"""A stdio function with what Python brings along: one event and the end, or with an argument as many as there are lines."""

import json
import os
import sys
import time

if os.environ.get("FAIL_INIT"):
    raise ImportError("no module for cards")


def handle(event):
    do = event["do"]
    if do == "echo":
        return {"text": event["text"]}
    if do == "throw":
        raise ValueError("no such card")
    if do == "final":
        print("no such card", file=sys.stderr)
        sys.exit(100)
    if do == "fail":
        return {"errorType": "CardError", "errorMessage": "no such card"}
    if do == "sleep":
        time.sleep(3600)
    if do == "eat":
        eaten = []
        while True:
            eaten.append(b"x" * (8 << 20))
    if do == "take":
        return {"size": len(event["text"])}
    if do == "give":
        return "x" * (event["size"] - 2)
    return {
        "id": os.environ["DALAMB_REQUEST_ID"],
        "leftMs": int(os.environ["DALAMB_DEADLINE_MS"]) - int(time.time() * 1000),
        "trace": os.environ["TRACEPARENT"],
    }


if len(sys.argv) > 1:
    for line in sys.stdin.buffer:
        print(json.dumps(handle(json.loads(line))), flush=True)
else:
    json.dump(handle(json.load(sys.stdin.buffer)), sys.stdout)
