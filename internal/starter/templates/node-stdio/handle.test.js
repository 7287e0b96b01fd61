import assert from "node:assert/strict";
import { test } from "node:test";
import { handle } from "./handle.js";

test("greets by name", async () => {
  const answer = await handle({ data: { name: "Ann" } });
  assert.equal(answer.type, "visitor.greeted");
  assert.deepEqual(answer.data, { greeting: "Hello, Ann!" });
});

test("fails without a name", async () => {
  await assert.rejects(handle({ data: {} }), TypeError);
});
