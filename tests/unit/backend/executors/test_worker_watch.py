import base64

import numpy as np

from genai_fill_contract.job import Progress
from genai_fill_server.executors.protocol import Previewed, read_from_child, to_line
from genai_fill_server.executors.worker_watch import PREVIEW_INTERVAL_S, WorkerWatch
from genai_fill_server.service.ports import MAX_PREVIEW_PX


class Desk:
    def __init__(self):
        self.now, self.sent = 0.0, []
        self.watch = WorkerWatch("j", self.sent.append, lambda: False, lambda: self.now)

    def show(self, size=(4, 6), value=0.5):
        self.watch.preview(1, 1001, np.full((*size, 3), value, np.float32))


def test_a_preview_is_sent_as_a_png_of_its_pixels():
    import cv2

    desk = Desk()
    desk.show(value=0.2)

    (message,) = desk.sent
    assert isinstance(message, Previewed)
    assert (message.job_id, message.take_index, message.frame) == ("j", 1, 1001)
    png = np.frombuffer(base64.b64decode(message.png_base64), np.uint8)
    assert np.array_equal(cv2.imdecode(png, cv2.IMREAD_COLOR), np.full((4, 6, 3), 51))


def test_previews_that_come_too_fast_are_not_sent_on():
    desk = Desk()
    for _ in range(100):
        desk.show()
        desk.now += PREVIEW_INTERVAL_S / 20
    assert len(desk.sent) in (5, 6)


def test_a_preview_that_is_too_large_is_not_sent():
    desk = Desk()
    desk.show((MAX_PREVIEW_PX, MAX_PREVIEW_PX + 1))
    assert desk.sent == []
    desk.show((MAX_PREVIEW_PX, MAX_PREVIEW_PX))
    assert len(desk.sent) == 1


def test_words_that_nobody_could_store_are_made_so_that_they_can_be():
    desk = Desk()
    desk.watch.log("frame \udcff.exr ☃")
    desk.watch.report(Progress("Reading \ud800", 0.5))
    assert [message.message for message in desk.sent[:1]] == ["frame ?.exr ☃"]
    assert desk.sent[1].progress.phase == "Reading ?"
    for message in desk.sent:
        assert read_from_child(to_line(message)) == message
