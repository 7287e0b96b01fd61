// Confirm tells that a paid order will be sent. It speaks the Lambda Runtime API by itself: ask for the next event, answer it.
import http from "node:http";

const api = new URL(`http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/`);
const agent = new http.Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, api), { method, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function confirm(event) {
  const { order, amount, email } = event.data;
  return {
    specversion: "1.0",
    type: "order.confirmed",
    source: "/shop/confirm",
    subject: order,
    data: { order, amount, email, delivery: "tomorrow" },
  };
}

for (;;) {
  const { headers, body } = await call("GET", "next");
  const id = headers["lambda-runtime-aws-request-id"];
  try {
    await call("POST", `${id}/response`, JSON.stringify(confirm(JSON.parse(body))));
  } catch (error) {
    await call("POST", `${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
  }
}
