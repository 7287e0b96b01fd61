"""Greets visitors: answers each event with another, which dalamb publishes."""

import json
import sys
import traceback


def handle(event):
    name = event["data"]["name"]
    print(f"greeting {name}", file=sys.stderr)  # stderr is the log
    return {
        "specversion": "1.0",
        "type": "visitor.greeted",
        "source": "/{{name}}",
        "data": {"greeting": f"Hello, {name}!"},
    }


def main():
    for line in sys.stdin:  # an event is a line
        try:
            answer = handle(json.loads(line))
        except Exception as e:  # the run has failed; dalamb tries it again
            traceback.print_exc()
            answer = {"errorType": type(e).__name__, "errorMessage": str(e)}
        print(json.dumps(answer), flush=True)  # stdout is for answers alone


if __name__ == "__main__":
    main()
