"""cpython_cases.py - runs tests of CPython and tells the end of each in a line; started by python.py, natively and on WasmOS alike.

    python3 cpython_cases.py MODULE [CASE...]       all cases of test.MODULE but those named

Lines: "BEGIN case", then "END case pass|fail|skip" and after a failure its text, each line behind a bar.
"""
import sys
import unittest


class Told(unittest.TestResult):
    """Tells each case as it begins and ends; a failure of a part of a case is the case's."""

    def startTest(self, test):
        super().startTest(test)
        self.how = 'pass'
        say('BEGIN', test.id())

    def stopTest(self, test):
        super().stopTest(test)
        say('END', test.id(), self.how)

    def bad(self, test, err):
        text = self._exc_info_to_string(err, test)
        if not isinstance(test, unittest.TestCase):  # a setUpClass
            say('BEGIN', test.id())
            say('END', test.id(), 'fail')
        self.how = 'fail'
        for line in text.splitlines()[-12:]:
            say('|', line)

    def addError(self, test, err):
        super().addError(test, err)
        self.bad(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.bad(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.bad(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.how = 'skip'

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.how = 'fail'


def say(*words):
    sys.__stdout__.write(' '.join(words) + '\n')
    sys.__stdout__.flush()


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main(module, without):
    from test import support
    support.use_resources = []
    try:
        __import__('test.' + module)
    except unittest.SkipTest as e:
        say('SKIP', str(e))
        return
    suite = unittest.defaultTestLoader.loadTestsFromName('test.' + module)
    suite = unittest.TestSuite(t for t in flat(suite) if t.id() not in without)
    suite.run(Told())
    say('DONE')


if __name__ == '__main__':
    main(sys.argv[1], set(sys.argv[2:]))
