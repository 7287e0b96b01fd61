# A lambda function that says what it is asked, and refuses 0.
import json
import os
import urllib.request

api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as r:
        id, event = r.headers["Lambda-Runtime-Aws-Request-Id"], json.load(r)
    print("asked for", event["n"], flush=True)
    way, answer = "/response", event["n"]
    if event["n"] == 0:
        way, answer = "/error", {"errorType": "CardError", "errorMessage": "no such card"}
    urllib.request.urlopen(urllib.request.Request(api + id + way, data=json.dumps(answer).encode(), method="POST")).read()
