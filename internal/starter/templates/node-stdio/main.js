import { createInterface } from "node:readline";
import { handle } from "./handle.js";

// An event is a line, and so is its answer: stdout is for answers alone.
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await handle(JSON.parse(line));
  } catch (e) {
    console.error(e); // the run has failed; dalamb tries it again
    answer = { errorType: e.name, errorMessage: e.message };
  }
  console.log(JSON.stringify(answer ?? null));
}
