"""Logs in over ssh and runs a command: paramiko_login.py USER HOST COMMAND. Asks on the terminal."""

import getpass
import sys

import paramiko


def ask(title, instructions, prompts):
    for text in (title, instructions):
        if text:
            print(text)
    return [input(text) if echo else getpass.getpass(text) for text, echo in prompts]


user, host, command = sys.argv[1:]
known = paramiko.HostKeys("/etc/ssh/ssh_known_hosts")
transport = paramiko.Transport((host, 22))
transport.start_client()
if not known.check(host, transport.get_remote_server_key()):
    sys.exit("This is another host.")
try:
    # What is left to be done before one is in: with this server, nothing or everything.
    missing = transport.auth_interactive(user, ask)
except paramiko.SSHException as error:
    sys.exit(f"Not logged in: {error}")
if missing:
    sys.exit(f"Not logged in: {missing}")
channel = transport.open_session()
channel.exec_command(command)
print(channel.makefile().read().decode(), end="")
sys.exit(channel.recv_exit_status())
