"""Several hosts on one machine: network namespaces whose links have a bandwidth and a delay.

Each host is a network namespace with one interface. Without a delay the interfaces are veth devices
on a bridge, and the kernel's token bucket filter limits what leaves a host. With a delay they are TUN
devices, and this process carries the packets: one leaves its host at the link's bandwidth, arrives
`delay` seconds later, and enters the other host at the link's bandwidth; that takes a core beyond
about 2 Gbit/s. Needs root and Linux.
"""
import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
INTERFACE = "link0"
BRIDGE = "darknet0"
MTU = 65000            # large packets: one process carries them all
MAX_BACKLOG = .05      # seconds of packets that wait for a link before its host is no longer read


class Link:
    """The egress and ingress of a host: when each is free for the next packet."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.egress_free = self.ingress_free = 0.0


class Network:
    """`count` hosts named darknet-host0, darknet-host1, ... with addresses 10.77.0.1, 10.77.0.2, ...

    bandwidth: bits per second, each way; delay: seconds, one way. A context manager.
    """

    def __init__(self, count, bandwidth, delay, prefix="darknet-host"):
        self.prefix = prefix
        self.hosts = [f"{prefix}{i}" for i in range(count)]
        self.bandwidth, self.delay = bandwidth, delay
        self.links, self.running, self.error = [], False, None

    def address(self, host):
        return f"10.77.0.{host + 1}"

    def __enter__(self):
        self._remove()  # what a killed run left behind
        try:
            if not self.delay:
                _ip("link", "add", BRIDGE, "type", "bridge")
                _ip("link", "set", BRIDGE, "up")
            for i, host in enumerate(self.hosts):
                self._make_host(i, host)
        except BaseException:
            self.__exit__()
            raise
        if self.delay:
            self.running = True
            self.thread = threading.Thread(target=self._carry_or_fail, daemon=True)
            self.thread.start()
        return self

    def _remove(self):
        remove = [["link", "del", _outside(i)] for i in range(len(self.hosts))]
        remove += [["netns", "del", host] for host in self.hosts] + [["link", "del", BRIDGE]]
        for command in remove:
            subprocess.run(["ip", *command], stderr=subprocess.DEVNULL, check=False)

    def __exit__(self, *_):
        if self.running:
            self.running = False
            self.thread.join()
        for link in self.links:
            os.close(link.descriptor)
        self.links.clear()
        self._remove()
        if self.error:
            raise self.error

    def _make_host(self, index, host):
        _ip("netns", "add", host)
        if self.delay:
            self.links.append(Link(_open_tun(host)))
        else:
            outside = _outside(index)
            _ip("link", "add", outside, "type", "veth", "peer", "name", INTERFACE, "netns", host)
            _ip("link", "set", outside, "mtu", str(MTU), "master", BRIDGE, "up")
            subprocess.run(["tc", "-n", host, "qdisc", "add", "dev", INTERFACE, "root", "tbf",
                            "rate", f"{self.bandwidth:.0f}bit", "burst", "1mb", "latency", "50ms"],
                           check=True)
        _ip("-n", host, "link", "set", "lo", "up")
        _ip("-n", host, "addr", "add", f"{self.address(index)}/24", "dev", INTERFACE)
        _ip("-n", host, "link", "set", INTERFACE, "mtu", str(MTU), "up")

    def _carry_or_fail(self):
        try:
            self._carry()
        except OSError as error:
            self.error = error

    def _carry(self):
        """Moves packets until the context ends."""
        underway, number = [], 0  # by time of arrival
        index = {link.descriptor: i for i, link in enumerate(self.links)}
        while self.running:
            now = time.monotonic()
            while underway and underway[0][0] <= now:
                _, _, target, packet = heapq.heappop(underway)
                os.write(self.links[target].descriptor, packet)
            readable = [link.descriptor for link in self.links
                        if link.egress_free - now < MAX_BACKLOG]
            wait = min(.02, underway[0][0] - now) if underway else .02
            for descriptor in select.select(readable, [], [], max(0, wait))[0]:
                packet = os.read(descriptor, MTU + 100)
                target = packet[19] - 1  # last byte of the destination in an IPv4 header
                if packet[0] >> 4 != 4 or not 0 <= target < len(self.links):
                    continue
                arrival = self._arrival(self.links[index[descriptor]], self.links[target],
                                        len(packet))
                number += 1
                heapq.heappush(underway, (arrival, number, target, packet))

    def _arrival(self, source, target, size):
        seconds = 8 * size / self.bandwidth
        source.egress_free = max(source.egress_free, time.monotonic()) + seconds
        target.ingress_free = max(target.ingress_free + seconds,
                                  source.egress_free + self.delay)
        return target.ingress_free


def _outside(index):
    """The end of a veth pair that is on the bridge."""
    return f"{BRIDGE}.{index}"


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def _open_tun(host):
    """A new TUN device in that namespace, as a descriptor for its packets."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/var/run/netns/{host}") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {host}")
        try:
            descriptor = os.open("/dev/net/tun", os.O_RDWR)
            request = struct.pack("16sH22x", INTERFACE.encode(), IFF_TUN | IFF_NO_PI)
            fcntl.ioctl(descriptor, TUNSETIFF, request)
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)
    return descriptor
