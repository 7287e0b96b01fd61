"""Pay charges a card. An http function: the event comes as a POST with ce- headers, and so does the answer go back.

The card "declined" is never accepted, and "flaky" only at the third attempt: they show what retries and dead letters do.
"""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def charge(card: str, attempt: int) -> str | None:
    """Returns why the bank refuses, or None when the money is there."""
    if card == "declined":
        return "the bank declines this card"
    if card == "flaky" and attempt < 3:
        return f"the bank does not answer (attempt {attempt})"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refusal = charge(order.get("card", ""), int(self.headers.get("Dalamb-Attempt", "1")))
        if refusal:
            self.answer(503, {"errorType": "PaymentRefused", "errorMessage": refusal})
            return
        paid = {"order": order["order"], "amount": order["total"], "currency": "EUR", "email": order.get("email")}
        self.answer(200, paid, {
            "ce-specversion": "1.0",
            "ce-type": "payment.processed",
            "ce-source": "/shop/pay",
            "ce-subject": order["order"],
        })

    def answer(self, status, body, headers=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
