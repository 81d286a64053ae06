"""The real server at an address that others can reach."""

import http.client
import json
import socket
import tempfile
import unittest
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from keras_depthseg.demo.token import COOKIE
from tests.support.demo_server import served

pytestmark = pytest.mark.long

BOUNDARY = "boundary"
UPLOAD = (
    f"--{BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="files"; filename="notes.txt"\r\n'
    f"Content-Type: text/plain\r\n\r\nuploaded\r\n--{BOUNDARY}--\r\n"
)
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
# All that the page asks for.
REQUESTS = (
    ("GET", "/", None, {}),
    ("GET", "/config", None, {}),
    ("GET", "/gradio_api/info", None, {}),
    ("GET", "/gradio_api/heartbeat/visitor", None, {}),
    ("GET", "/gradio_api/file=/etc/hostname", None, {}),
    ("POST", "/gradio_api/upload", UPLOAD, FORM),
    ("POST", "/gradio_api/queue/join", "{}", {"Content-Type": "application/json"}),
)


def own_address():
    """Return an address of this machine that is not only its own; `None` without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it asks for a route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


class NetworkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.server = cls.enterClassContext(served(folder, "--host", "0.0.0.0"))
        cls.token = parse_qs(urlsplit(cls.server.address).query)["token"][0]

    def request(self, method, path, body=None, headers=None, host="127.0.0.1"):
        """Return status, headers and body of an answer."""
        connection = http.client.HTTPConnection(host, self.server.port, timeout=30)
        self.addCleanup(connection.close)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def test_nothing_without_the_token(self):
        before = self.server.files()
        for method, path, body, headers in REQUESTS:
            for cookie in ({}, {"Cookie": f"{COOKIE}={self.token[::-1]}"}):
                with self.subTest(path=path, cookie=bool(cookie)):
                    answer = self.request(method, path, body, headers | cookie)
                    self.assertEqual(answer[0], 403)
                    self.assertNotIn(self.token, str(answer))
        self.assertEqual(self.server.files(), before)

    def test_all_with_the_token(self):
        status, headers, _ = self.request("GET", f"/?token={self.token}")
        self.assertEqual((status, headers["Location"]), (303, "/"))
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        status, _, page = self.request("GET", "/", headers=cookie)
        self.assertEqual(status, 200)
        self.assertIn(b"Mask and depth", page)
        status, _, body = self.request(
            "POST", "/gradio_api/upload", UPLOAD, FORM | cookie
        )
        self.assertEqual(status, 200)
        self.assertEqual(Path(json.loads(body)[0]).read_text(), "uploaded")
        # Files that are not the page's are no visitor's business.
        status, *_ = self.request("GET", "/gradio_api/file=/etc/hostname", headers=cookie)
        self.assertEqual(status, 403)

    def test_from_another_address(self):
        host = own_address()
        if host is None:
            self.skipTest("this machine has no address but 127.0.0.1")
        self.assertEqual(self.request("GET", "/", host=host)[0], 403)
        status, *_ = self.request("GET", f"/?token={self.token}", host=host)
        self.assertEqual(status, 303)

    def test_at_one_address_of_the_network(self):
        host = own_address()
        if host is None:
            self.skipTest("this machine has no address but 127.0.0.1")
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with served(folder, "--host", host) as server:
            self.assertRegex(server.address, rf"^http://{host}:{server.port}/.token=.+")
            connection = http.client.HTTPConnection(host, server.port, timeout=30)
            self.addCleanup(connection.close)
            connection.request("GET", "/")
            self.assertEqual(connection.getresponse().status, 403)


if __name__ == "__main__":
    unittest.main()
