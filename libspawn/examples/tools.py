# SPDX-License-Identifier: MIT
"""Runs each argument by the shell, all at once, in asyncio's loop: tools.py COMMAND..."""

import asyncio
import sys

import spawnd


async def run(command):
    process = await spawnd.asyncio.create_subprocess_shell(command, stdout=spawnd.PIPE)
    output, _ = await process.communicate()
    print(f"{command}: status {process.returncode}: {output.decode().strip()}".rstrip())


async def main(commands):
    await asyncio.gather(*(run(command) for command in commands))


asyncio.run(main(sys.argv[1:]))
