"""Stands for polkit's agent: calls its helper and types each answer at the next prompt.

    agent.py socket|setuid ANSWER...
"""

import socket
import subprocess
import sys

HELPER = "/usr/lib/polkit-1/polkit-agent-helper-1"


def connect(way):
    if way == "socket":
        helper = socket.socket(socket.AF_UNIX)
        helper.connect("/run/polkit-agent-helper.socket")
        return helper
    helper, theirs = socket.socketpair()
    subprocess.Popen([HELPER, "alice"], stdin=theirs, stdout=theirs, stderr=theirs)
    theirs.close()
    helper.sendall(b"cookie\n")
    return helper


def receive(helper):
    """Shows what the helper says up to its next prompt, or to its end."""
    shown = b""
    while not shown.rstrip().endswith(b":"):
        more = helper.recv(4096)
        if not more:
            break
        shown += more
    print(shown.decode(), flush=True)


connection = connect(sys.argv[1])
for answer in sys.argv[2:]:
    receive(connection)
    connection.sendall(answer.encode() + b"\n")
receive(connection)
