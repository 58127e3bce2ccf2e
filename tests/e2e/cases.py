"""cases.py - runs the cases of a test program, its functions test_..., and says how each ended (Test Anything Protocol)."""
import sys
import time
import traceback

SLOW_S = 5  # a case that takes longer says so


class Skip(Exception):
    """A case cannot run here; says why."""


def run(module, words=(), missing=lambda test: None, fixture=None):
    """module: the program's globals(). words: only cases whose name holds one of them. missing(test): why it cannot run here, or
    None. fixture: a context manager for each case, which is given what it yields (of a tuple, each thing in it). Returns the exit status."""
    tests = {n: f for n, f in module.items() if n.startswith('test_') and (not words or any(w in n for w in words))}
    failed = 0
    print(f'1..{len(tests)}')
    for number, (name, test) in enumerate(tests.items(), 1):
        title, began = name[len('test_'):].replace('_', ' '), time.monotonic()
        try:
            if why := missing(test):
                raise Skip(why)
            if fixture:
                with fixture() as given:
                    test(*given) if isinstance(given, tuple) else test(given)
            else:
                test()
            print(f'ok {number} - {title}')
        except Skip as e:
            print(f'ok {number} - {title} # SKIP {e}')
        except Exception:
            failed += 1
            print(f'not ok {number} - {title}')
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()))
        if (took := time.monotonic() - began) > SLOW_S:
            print(f'# {took:.1f} s')
        sys.stdout.flush()
    return 1 if failed else 0
