import json
import threading
import unittest
from http.server import ThreadingHTTPServer
from urllib.request import urlopen

from main import Handler


class HandlerTest(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def get(self, path, body=None):
        with urlopen(f"http://127.0.0.1:{self.server.server_port}{path}", body) as response:
            return json.load(response)

    def test_greets_by_name(self):
        self.assertEqual(self.get("/{{name}}?name=Ann"), {"greeting": "Hello, Ann!"})

    def test_greets_who_posts(self):
        self.assertEqual(self.get("/", b'{"name": "Ann"}'), {"greeting": "Hello, Ann!"})

    def test_greets_a_stranger(self):
        self.assertEqual(self.get("/{{name}}"), {"greeting": "Hello, stranger!"})


if __name__ == "__main__":
    unittest.main()
