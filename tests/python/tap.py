# SPDX-License-Identifier: MIT
"""tap.py MODULE: runs its unittest cases and speaks TAP, so that each of them is counted."""

import faulthandler
import importlib
import sys
import traceback
import unittest
import warnings


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.failed = False
        self.wrong = []

    def startTest(self, test):
        super().startTest(test)
        self.wrong = []

    def say(self, test, word, directive=""):
        name = test.id().split(".", 1)[1]
        print(f"{word} {self.testsRun} - {name}{directive}", flush=True)

    def addSuccess(self, test):
        if not self.wrong:
            self.say(test, "ok")

    def addSkip(self, test, reason):
        self.say(test, "ok", f" # SKIP {reason}")

    def addFailure(self, test, error):
        self.fail(test, error)

    def addError(self, test, error):
        self.fail(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.fail(test, error, str(subtest))

    def fail(self, test, error, what=""):
        self.failed = True
        print(what, "".join(traceback.format_exception(*error)), file=sys.stderr, flush=True)
        if not self.wrong:
            self.say(test, "not ok")
        self.wrong.append(what)


def main(name):
    faulthandler.enable()
    warnings.simplefilter("error", ResourceWarning)
    suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(name))
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
