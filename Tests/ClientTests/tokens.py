"""A token service (RFC 7662) over https, for scripts: it knows a few tokens, and how to answer wrongly."""
import http.server
import json
import os
import shutil
import ssl
import tempfile
import threading
import urllib.parse

from node import self_signed

GOOD = "good.token-of~ann/42=="
CLIENT_ID = "mail server"
CLIENT_SECRET = "secret of the mail server"


class TokenService:
    """As a context: listens on loopback. `settings` are what a node needs to ask it."""

    def __init__(self, holder, disabled="", nobody=""):
        self.names = {GOOD: holder, "narrow": holder, "ended": holder, "off": disabled, "nobody": nobody}
        self.asked = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="letterlog-tokens-")
        certificate, key, secret = (os.path.join(self.folder, name) for name in ("tls.pem", "tls.key", "secret"))
        self_signed(certificate, key, "localhost")
        with open(secret, "w") as file:
            file.write(CLIENT_SECRET + "\n")
        service = self

        class Answering(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                service.answer(self)

            def log_message(self, *_):
                pass

        class Listening(http.server.ThreadingHTTPServer):
            # Who does not trust us hangs up.
            def handle_error(self, *_):
                pass

        self.server = Listening(("127.0.0.1", 0), Answering)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.settings = ["logins.tokens.endpoint=https://localhost:%d/introspect" % self.server.server_port,
                         "logins.tokens.ca-file=" + certificate, "logins.tokens.client-id=" + CLIENT_ID,
                         "logins.tokens.client-secret-file=" + secret, "logins.tokens.scope=mail"]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def answer(self, request):
        form = urllib.parse.parse_qs(request.rfile.read(int(request.headers["Content-Length"])).decode())
        self.asked.append((request.headers["Authorization"], form))
        token = form["token"][0]
        said = {"active": token in self.names, "username": self.names.get(token),
                "scope": "other" if token == "narrow" else "profile mail"}
        if token == "ended":
            said["exp"] = 1_000_000_000
        status = {"fails": 500, "moved": 302}.get(token, 200)
        text = json.dumps({"error": "x"} if token == "broken" else said).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        if token == "moved":
            request.send_header("Location", "/elsewhere")
        if token != "endless":
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)
            return
        request.end_headers()
        try:
            for _ in range(10_000):
                request.wfile.write(b" " * 65536)
        except OSError:
            pass
