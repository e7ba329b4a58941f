"""Takes and lists text messages as Twilio's API does."""
import base64, email.utils, http.server, json, os, sys, urllib.parse

port, account, token, number, folder = int(sys.argv[1]), *sys.argv[2:]
path = f"/2010-04-01/Accounts/{account}/Messages.json"
login = "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def is_refused(self):
        if os.path.exists(f"{folder}/down"):
            self.answer(503, {"code": 20503, "message": "Service unavailable", "status": 503})
        elif self.headers.get("Authorization") != login:
            self.answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
        elif self.path.split("?")[0] != path:
            self.answer(404, {"code": 20404, "message": "Not found", "status": 404})
        else:
            return False
        return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.is_refused():
            return
        form = urllib.parse.parse_qs(body)
        to, text = form["To"][0], form["Body"][0]
        with open(f"{folder}/sent", "a") as sent:
            sent.write(f"{to}\t{text}\0")
        self.answer(201, {"sid": "SM" + "0" * 32, "status": "queued", "error_code": None})

    def do_GET(self):
        if self.is_refused():
            return
        try:
            lines = open(f"{folder}/received").read().splitlines()
        except FileNotFoundError:
            lines = []
        now = email.utils.formatdate()
        messages = [
            {"sid": f"SM{n:032}", "direction": "inbound", "status": "received", "from": line.split("\t")[0],
             "to": number, "body": line.split("\t")[1], "date_created": now}
            for n, line in enumerate(lines)
        ]
        self.answer(200, {"messages": messages, "next_page_uri": None})

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
