import { createServer } from "node:http";

// Greets visitors who come by HTTP.
export const server = createServer(async (request, response) => {
  response.setHeader("Content-Type", "application/json");
  try {
    const name = (await visitor(request)) ?? "stranger";
    response.end(JSON.stringify({ greeting: `Hello, ${name}!` }));
  } catch {
    response.statusCode = 400;
    response.end(JSON.stringify({ error: "the body is not JSON" }));
  }
});

async function visitor(request) {
  if (request.method !== "POST") {
    return new URL(request.url, "http://localhost").searchParams.get("name");
  }
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  return JSON.parse(body).name;
}
