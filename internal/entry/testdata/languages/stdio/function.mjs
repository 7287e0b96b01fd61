// A stdio function with what Node.js brings along: one event and the end, or with an argument as many as there are lines.
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";

if (process.env.FAIL_INIT) {
  throw new TypeError("no module for cards");
}

const handle = async (event) => {
  switch (event.do) {
    case "echo":
      return { text: event.text };
    case "throw":
      throw new TypeError("no such card");
    case "final":
      console.error("no such card");
      process.exit(100);
    case "fail":
      return { errorType: "CardError", errorMessage: "no such card" };
    case "sleep":
      return wait(3600_000);
    case "eat":
      for (const eaten = []; ; ) eaten.push(Buffer.alloc(8 << 20, 1));
    case "take":
      return { size: event.text.length };
    case "give":
      return "x".repeat(event.size - 2);
  }
  return {
    id: process.env.DALAMB_REQUEST_ID,
    leftMs: Number(process.env.DALAMB_DEADLINE_MS) - Date.now(),
    trace: process.env.TRACEPARENT,
  };
};

if (process.argv.length > 2) {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await handle(JSON.parse(line))));
  }
} else {
  const all = [];
  for await (const part of process.stdin) all.push(part);
  process.stdout.write(JSON.stringify(await handle(JSON.parse(Buffer.concat(all)))));
}
