"""Parses a mail as strictly as Python can and prints as JSON what is in it."""

import email, email.policy, json, sys

raw = sys.stdin.buffer.read()
mail = email.message_from_bytes(raw, policy=email.policy.default)
parts = list(mail.iter_parts())
header_lines = raw.split(b"\n\n", 1)[0].split(b"\n")
json.dump({
    "type": mail.get_content_type(),
    "parts": [part.get_content_type() for part in parts],
    "charsets": [part.get_content_charset() for part in parts],
    "encodings": [part["Content-Transfer-Encoding"] for part in parts],
    "headers": {name: str(mail[name]) for name in mail.keys()},
    "date": mail["Date"].datetime.isoformat(),
    "longest_header": max(len(line.rstrip(b"\r")) for line in header_lines),
    "defects": [repr(d) for part in mail.walk() for d in part.defects]
        + [repr(d) for value in mail.values() for d in getattr(value, "defects", [])],
    "text": mail.get_body(("plain",)).get_content(),
    "html": mail.get_body(("html",)).get_content(),
}, sys.stdout)
