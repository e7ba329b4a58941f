"""Sends messages as a signal-cli-rest-api does, for one account. One number has no account at Signal."""
import http.server, json, sys, urllib.parse

port, account, stranger, folder = int(sys.argv[1]), *sys.argv[2:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        number = urllib.parse.unquote(self.path.removeprefix("/v1/identities/"))
        if number == account:
            self.answer(200, [])
        else:
            self.answer(500, {"error": "Specified account does not exist"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (to,) = body["recipients"]
        if self.path != "/v2/send" or body["number"] != account:
            self.answer(400, {"error": "Specified account does not exist"})
        elif to == stranger:
            self.answer(400, {"error": f'Unregistered user "{to}"'})
        else:
            with open(f"{folder}/sent", "a") as sent:
                sent.write(f"{to}\t{body['message']}\0")
            self.answer(201, {"timestamp": "1790000000123"})

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
