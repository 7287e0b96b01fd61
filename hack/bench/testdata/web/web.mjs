import { createServer } from "node:http";

const started = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.setHeader("Content-Type", "application/json");
    response.end(`{"started":${started}}`);
  });
}).listen(Number(process.env.PORT), "127.0.0.1");
