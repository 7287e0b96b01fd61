import { createServer } from "node:http";

// Greets visitors who come by HTTP.
export const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://localhost");
  const name = searchParams.get("name") ?? "stranger";
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ greeting: `Hello, ${name}!` }));
});
