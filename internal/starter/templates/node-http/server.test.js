import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { server } from "./server.js";

let address;

before(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  address = `http://127.0.0.1:${server.address().port}`;
});

after(() => server.close());

test("greets by name", async () => {
  const response = await fetch(`${address}/{{name}}?name=Ann`);
  assert.deepEqual(await response.json(), { greeting: "Hello, Ann!" });
});

test("greets who posts", async () => {
  const response = await fetch(address, { method: "POST", body: '{"name": "Ann"}' });
  assert.deepEqual(await response.json(), { greeting: "Hello, Ann!" });
});

test("greets a stranger", async () => {
  const response = await fetch(`${address}/{{name}}`);
  assert.deepEqual(await response.json(), { greeting: "Hello, stranger!" });
});
