import os
import time

if os.environ.get("FAIL_INIT"):
    raise ImportError("no module for cards")


class CardError(Exception):
    pass


def handle(event, context):
    do = event["do"]
    if do == "echo":
        return {"text": event["text"]}
    if do == "fail":
        raise CardError("no such card")
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
        "id": context.aws_request_id,
        "leftMs": context.get_remaining_time_in_millis(),
        "trace": os.environ.get("_X_AMZN_TRACE_ID", ""),
        "arn": context.invoked_function_arn,
    }
