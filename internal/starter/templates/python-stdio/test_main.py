import unittest

from main import handle


class HandleTest(unittest.TestCase):
    def test_greets_by_name(self):
        answer = handle({"data": {"name": "Ann"}})
        self.assertEqual(answer["type"], "visitor.greeted")
        self.assertEqual(answer["data"], {"greeting": "Hello, Ann!"})

    def test_fails_without_a_name(self):
        with self.assertRaises(KeyError):
            handle({"data": {}})


if __name__ == "__main__":
    unittest.main()
