// An HTTP function with what Node.js brings along.
import { createServer } from "node:http";
import { setTimeout as wait } from "node:timers/promises";

if (process.env.FAIL_INIT) {
  throw new TypeError("no module for cards");
}

const answer = (out, status, value) => {
  out.writeHead(status, { "Content-Type": "application/json" });
  out.end(JSON.stringify(value));
};

// A streamed answer; one for /fail that breaks off.
const stream = async (request, out) => {
  out.writeHead(207, { "Content-Type": "text/plain", "X-Streamed": "yes", "Set-Cookie": "a=1" });
  out.write("first ");
  await wait(100);
  if (request.url === "/fail") {
    out.destroy(new Error("no such card"));
    return;
  }
  out.end("second");
};

const handle = async (request, out) => {
  if (request.method === "GET") return stream(request, out);
  const body = [];
  for await (const part of request) body.push(part);
  const event = JSON.parse(Buffer.concat(body));
  switch (event.do) {
    case "echo":
      return answer(out, 200, { text: event.text });
    case "throw":
      throw new TypeError("no such card");
    case "fail":
      return answer(out, 500, { errorType: "CardError", errorMessage: "no such card" });
    case "sleep":
      return wait(3600_000);
    case "eat":
      for (const eaten = []; ; ) eaten.push(Buffer.alloc(8 << 20, 1));
    case "take":
      return answer(out, 200, { size: event.text.length });
    case "give":
      return answer(out, 200, "x".repeat(event.size - 2));
  }
  return answer(out, 200, {
    id: request.headers["dalamb-request-id"],
    leftMs: Number(request.headers["dalamb-deadline-ms"]) - Date.now(),
    trace: request.headers["traceparent"],
  });
};

createServer(handle).listen(Number(process.env.PORT), "127.0.0.1");
