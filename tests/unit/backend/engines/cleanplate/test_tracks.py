"""Pixels led on from frame to frame, and the frames that lead there."""

from __future__ import annotations

import numpy as np

from genai_fill_server.engines.cleanplate.tracks import STEP_PX, Track, nodes_of, shortest

HEIGHT, WIDTH = 61, 90


def _place(shift):
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.dstack([columns + shift[0], rows + shift[1]])


def test_places_are_led_on_by_how_pixels_move_also_between_those_that_are_followed():
    everywhere = np.ones((HEIGHT, WIDTH), np.bool_)
    slanted = _place((3.0, -1.0))
    slanted[..., 0] += 0.02 * slanted[..., 1]
    track = Track.of(slanted, everywhere)
    places = np.array([[[10.3, 20.7], [41.0, 33.2]]], np.float32)

    led = track.led_on(places)

    expected = places + np.array([3.0, -1.0]) + np.dstack([0.02 * (places[..., 1] - 1.0), [[0, 0]]])
    np.testing.assert_allclose(led, expected, atol=2e-3)


def test_between_two_things_that_move_apart_and_beside_the_picture_nothing_is_known():
    place = _place((0.0, 0.0))
    place[:, 45:, 0] += 6.0
    track = Track.of(place, np.ones((HEIGHT, WIDTH), np.bool_))
    places = np.array([[[20.0, 30.0], [45.0, 30.0], [70.0, 30.0], [-4.0, 30.0]]], np.float32)

    led = track.led_on(places)[0, :, 0]

    assert led[0] == 20.0
    assert led[2] == 76.0
    assert np.isnan(led[[1, 3]]).all()


def test_what_is_not_known_of_one_frame_is_not_known_of_those_behind_it():
    known = np.ones((HEIGHT, WIDTH), np.bool_)
    known[20:40, 30:50] = False
    first, second = Track.of(_place((8.0, 0.0)), known), Track.of(_place((8.0, 0.0)), known)
    nodes = nodes_of(HEIGHT, WIDTH)

    led = second.led_on(first.led_on(nodes))

    lost = np.isnan(led[..., 0])
    assert lost[(nodes[..., 0] == 38) & (nodes[..., 1] == 30)].all(), "hidden at once"
    assert lost[(nodes[..., 0] == 26) & (nodes[..., 1] == 30)].all(), "hidden in the second"
    clear = (nodes[..., 1] < 20 - 2 * STEP_PX) & (nodes[..., 0] < WIDTH - 16 - STEP_PX)
    assert not lost[clear].any()
    np.testing.assert_allclose((led - nodes)[~lost], [[16.0, 0.0]] * int((~lost).sum()), atol=1e-4)


def test_fewest_hops_lead_from_frame_to_frame():
    def onward(frame):
        return [n for n in (frame - 2, frame + 2, frame - 5, frame + 5) if 1 <= n <= 20]

    assert list(shortest(4, 4, onward)) == [4]
    assert list(shortest(4, 9, onward)) == [4, 9]
    assert list(shortest(4, 11, onward)) in ([4, 6, 11], [4, 9, 11])
    assert len(shortest(8, 7, onward)) == 4
    assert list(shortest(4, 11, onward)) == list(shortest(4, 11, onward))
    assert list(shortest(4, 30, onward)) == []
    assert list(shortest(4, 9, lambda frame: ())) == []
