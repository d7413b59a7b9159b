# SPDX-License-Identifier: MIT
"""Processes, by /proc."""

import os


def _table():
    """(name, parent) by pid, of those that are not over: the server's may be reaped later."""
    table = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                head, _, tail = stat.read().rpartition(")")
        except OSError:
            continue
        state, parent = tail.split()[:2]
        if state not in "ZX":
            table[int(pid)] = head.partition("(")[2], int(parent)
    return table


def child_of(parent, name):
    return next(pid for pid, seen in _table().items() if seen == (name, parent))


def descendants_that_run(name):
    table = _table()
    family, found = {os.getpid()}, []
    grown = True
    while grown:
        new = {pid for pid, (_, parent) in table.items() if parent in family} - family
        family |= new
        grown = bool(new)
    return [pid for pid in family if table.get(pid, ("",))[0] == name]
