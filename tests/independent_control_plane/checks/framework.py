"""Named checks in groups; a group has its own rig and runs beside the others."""
import threading
import time
import traceback

# Only what hangs takes so long: a busy machine is not the subject.
DEADLINE_S = 120
GROUPS = {}


class Failed(Exception):
    """A check that found something else than it should."""


def check(group: str, name: str):
    def register(function):
        GROUPS.setdefault(group, []).append((name, function))
        return function
    return register


def until(what: str, condition, deadline_s: float = DEADLINE_S, every_s: float = 0.02):
    """The first true value of `condition`; fails if there is none in time."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f"waited {deadline_s:.0f} s in vain for: {what}")
        time.sleep(every_s)


def equal(what: str, found, expected):
    if found != expected:
        raise Failed(f"{what}: expected {expected!r}, found {found!r}")


def true(what: str, found):
    if not found:
        raise Failed(f"{what}: {found!r}")


class Output:
    """One line a check, whole lines only."""

    def __init__(self):
        self.lock, self.passed, self.failed, self.table = threading.Lock(), 0, 0, []
        self.explained = []

    def result(self, name: str, error: str = None, seconds: float = None):
        with self.lock:
            self.passed += error is None
            self.failed += error is not None
            took = f"  ({seconds:.1f} s)" if seconds is not None else ""
            print(f"{'ok  ' if error is None else 'FAIL'} {name}{took}", flush=True)
            if error is not None:
                self.explained.append(f"{name}: {error}")
                print("     " + error.replace("\n", "\n     "), flush=True)

    def play(self, name: str, function, *args):
        started = time.monotonic()
        try:
            function(*args)
        except Failed as error:
            self.result(name, str(error))
        except Exception:
            self.result(name, traceback.format_exc(limit=-4))
        else:
            self.result(name, None, time.monotonic() - started)
