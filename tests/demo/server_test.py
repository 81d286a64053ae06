"""Who is let in, and the options."""

import tensorflow as tf
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from keras_depthseg.demo.options import DemoOptions
from keras_depthseg.demo.token import TokenMiddleware, is_this_computer
from keras_depthseg.errors import UserError


def _page(_):
    return PlainTextResponse("the page")


class TokenTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        protected = Middleware(TokenMiddleware, token="secret")
        routes = [Route("/{path:path}", _page)]
        self.app = Starlette(routes=routes, middleware=[protected])

    def test_only_with_the_token(self):
        client = TestClient(self.app)
        for address in ("/", "/?token=", "/?token=Secret", "/gradio_api/queue/join"):
            answer = client.get(address)
            self.assertEqual(answer.status_code, 403)
            self.assertNotIn("page", answer.text)

    def test_the_token_is_kept_in_a_cookie(self):
        client = TestClient(self.app)
        answer = client.get("/?token=secret", follow_redirects=False)
        # The address that stays in the browser's history is without it.
        self.assertEqual((answer.status_code, answer.headers["location"]), (303, "/"))
        self.assertIn("HttpOnly", answer.headers["set-cookie"])
        self.assertEqual(client.get("/gradio_api/file").text, "the page")

    def test_the_first_requests_of_the_server_itself(self):
        # "testserver" is the address at which the request arrives.
        for host, own, other in (
            ("127.0.0.1", 200, 403),
            ("testserver", 200, 403),
            ("192.168.1.2", 403, 403),
        ):
            client = TestClient(self.app, client=(host, 5000))
            answer = client.get("/gradio_api/startup-events")
            self.assertEqual(answer.status_code, own)
            self.assertEqual(client.head("/").status_code, own)
            for path in ("/", "/gradio_api/info"):
                self.assertEqual(client.get(path).status_code, other)


class AddressTest(tf.test.TestCase):
    def test_this_computer(self):
        for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
            self.assertTrue(is_this_computer(host), host)
        for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
            self.assertFalse(is_this_computer(host), host)

    def test_ports(self):
        for port in (0, 65536, -1):
            with self.assertRaisesRegex(UserError, f"`port`: received {port}; accepted"):
                DemoOptions(port=port)


if __name__ == "__main__":
    tf.test.main()
