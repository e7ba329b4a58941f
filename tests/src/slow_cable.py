"""A cable between two network namespaces on which packets take a while, and some are lost.

    slow_cable.py PID PID NAME MILLISECONDS PERCENT

Each end is a tun device called NAME in the namespace of a process. It lasts until standard input ends.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

# linux/if_tun.h, linux/sched.h
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000
LONGEST = 65536

libc = ctypes.CDLL(None, use_errno=True)


def end_of_cable(pid, name):
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(namespace)
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


def main():
    first, second, name, delay, loss = sys.argv[1:]
    ends = [end_of_cable(pid, name) for pid in (first, second)]
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    print("ready", flush=True)
    # The same packets are lost in every run, as far as they are the same.
    chance = random.Random(1)
    on_the_way = []
    number = 0
    while True:
        wait = max(0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        readable, _, _ = select.select(ends + [sys.stdin], [], [], wait)
        now = time.monotonic()
        if sys.stdin in readable:
            return
        for end in readable:
            packet = os.read(end, LONGEST)
            if chance.random() * 100 >= float(loss):
                number += 1
                due = now + float(delay) / 1000
                heapq.heappush(on_the_way, (due, number, other[end], packet))
        while on_the_way and on_the_way[0][0] <= now:
            _, _, end, packet = heapq.heappop(on_the_way)
            try:
                os.write(end, packet)
            except OSError:
                pass  # the interface is not up yet


main()
