from genai_fill_contract.errors import DiskFull
from genai_fill_server.bootstrap.server import recover_until_done


class FullAtFirst:
    """A database whose disk has no room for the first ``times`` tries."""

    def __init__(self, times):
        self.times = times
        self.tries = 0

    def recover(self):
        self.tries += 1
        if self.tries <= self.times:
            raise DiskFull("The disk is full.", hint="Free some room.")
        return ()


def test_a_full_disk_at_the_start_does_not_leave_the_queue_standing_for_good():
    database = FullAtFirst(times=2)
    waits = []
    recover_until_done(database.recover, lambda seconds: waits.append(seconds))
    assert database.tries == 3
    assert all(0 < seconds <= 10 for seconds in waits)


def test_a_server_that_stops_does_not_wait_for_room():
    database = FullAtFirst(times=1000)
    recover_until_done(database.recover, lambda seconds: database.tries == 2)
    assert database.tries == 2
