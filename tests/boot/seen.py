"""What was seen, as a table; the last line says whether all of it was as promised."""

import sys
import time
import traceback

from parts import Deviation


class Seen:
    def __init__(self, title):
        self.title, self.rows = title, []
        self.begun = self.last = time.monotonic()

    def row(self, what, seen):
        """One more line; how many seconds it took."""
        now = time.monotonic()
        self.rows.append((what, seen, now - self.last))
        print(f"boot: {what}: {seen} ({now - self.last:.1f} s)", flush=True)
        took, self.last = now - self.last, now
        return took

    def since_begin(self):
        return time.monotonic() - self.begun

    def table(self):
        width = max((len(what) for what, _, _ in self.rows), default=0)
        print(f"\n{self.title}")
        for what, seen, seconds in self.rows:
            print(f"  {what:<{width}}  {seconds:6.1f} s  {seen}")
        sys.stdout.flush()

    def play(self, story, on_failure):
        """Runs the story; the exit code."""
        try:
            story()
        except Exception as problem:  # whatever it is, it is a failure and must be seen
            self.table()
            if not isinstance(problem, Deviation):
                traceback.print_exc()
            print(f"\nFAILED after {len(self.rows)} steps\n{problem}\n")
            on_failure()
            print(f"{len(self.rows)} passed, 1 failed")
            return 1
        self.table()
        print(f"\n{len(self.rows)} passed, 0 failed")
        return 0
