"use strict";

if (process.env.FAIL_INIT) {
  throw new TypeError("no module for cards");
}

class CardError extends Error {
  constructor(message) {
    super(message);
    this.name = "CardError";
  }
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

exports.handle = async (event, context) => {
  switch (event.do) {
    case "echo":
      return { text: event.text };
    case "fail":
      throw new CardError("no such card");
    case "sleep":
      await wait(3600_000);
      return null;
    case "eat":
      for (const eaten = []; ; ) eaten.push(Buffer.alloc(8 << 20, 1));
    case "take":
      return { size: event.text.length };
    case "give":
      return "x".repeat(event.size - 2);
  }
  return {
    id: context.awsRequestId,
    leftMs: context.getRemainingTimeInMillis(),
    trace: process.env._X_AMZN_TRACE_ID || "",
    arn: context.invokedFunctionArn,
  };
};

// The second part waits until the first has been seen: the caller then calls /go, or breaks off.
exports.stream = awslambda.streamifyResponse(async (event, out) => {
  out = awslambda.HttpResponseStream.from(out, {
    statusCode: 207,
    headers: { "Content-Type": "text/plain", "X-Streamed": "yes" },
    cookies: ["a=1"],
  });
  out.write("first ");
  await wait(100);
  if (event.rawPath === "/fail") {
    throw new CardError("no such card");
  }
  out.write("second");
  out.end();
});
