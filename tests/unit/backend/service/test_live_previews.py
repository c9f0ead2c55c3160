from genai_fill_server.service.live_previews import MAX_BYTES, MAX_KEPT, LivePreviews


def test_the_newest_picture_of_each_take_is_kept():
    previews = LivePreviews()
    previews.keep("a", 0, b"1")
    previews.keep("a", 1, b"2")
    previews.keep("a", 0, b"3")
    assert (previews.newest("a", 0), previews.newest("a", 1)) == (b"3", b"2")
    assert previews.newest("b", 0) is None


def test_a_job_that_ended_leaves_nothing():
    previews = LivePreviews()
    for job in ("a", "b"):
        previews.keep(job, 0, b"1")
    previews.drop("a")
    assert previews.newest("a", 0) is None
    assert previews.newest("b", 0) == b"1"


def test_memory_is_bounded_by_number_and_size():
    previews = LivePreviews()
    for take in range(MAX_KEPT + 1):
        previews.keep("a", take, b"1")
    assert previews.newest("a", 0) is None
    assert previews.newest("a", 1) == b"1"
    previews.keep("a", 1, bytes(MAX_BYTES + 1))
    assert previews.newest("a", 1) == b"1"
