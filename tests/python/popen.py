# SPDX-License-Identifier: MIT
"""The cases by subprocess and by spawnd, for both owners: the same is seen, and nothing is left."""

import gc
import os
import subprocess
import unittest

import server
import spawnd
from cases import CASES, Way

WAYS = {
    "own": Way(spawnd),
    "server": Way(spawnd, owner="server"),
}


def setUpModule():
    server.start()
    for way in WAYS.values():  # the connections, which stay
        way.call(["true"])


def tearDownModule():
    server.stop()


def descriptors():
    """Of this process, and where they lead; not that of the look itself."""
    gc.collect()
    seen = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            seen[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass
    return seen


class Same(unittest.TestCase):
    maxDiff = None


def compare(case, way):
    def test(self):
        expected = case(Way(subprocess))
        before = descriptors()
        self.assertEqual(case(way), expected)
        self.assertEqual(descriptors(), before)
    return test


for _case in CASES:
    for _name, _way in WAYS.items():
        setattr(Same, f"test_{_name}_{_case.__name__}", compare(_case, _way))
