import tracemalloc

import numpy as np

from genai_fill_contract.engine import ColourDomain
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service import shot_mattes
from tests.fakes.engines import FakeEngine, WatchRecorder, describe
from tests.fakes.plates import grainy
from tests.fakes.shots import Shot, crop_of


class Weigher(WatchRecorder):
    """Weighs what is held after every frame."""

    def __init__(self):
        super().__init__()
        self.held = []

    def frame_done(self, frame):
        super().frame_done(frame)
        self.held.append(tracemalloc.get_traced_memory()[0])


def test_memory_does_not_grow_with_the_length_of_the_shot(tmp_path, monkeypatch):
    monkeypatch.setattr(shot_mattes, "CACHE_BYTES", 1 << 18)
    plate = grainy(121, 203)
    shot = Shot(tmp_path, frames=(1, 120), plate=lambda frame: plate)
    for frame in shot.frames:
        for name in ("plate", "matte"):
            path = tmp_path / f"in/{name}.{frame}.exr"
            path.rename(tmp_path / f"in/{name}.{frame:04d}.exr")
    watch = Weigher()
    tracemalloc.start()
    try:
        # Caches that a few frames fill: from then on nothing may be added.
        shot.run(watch=watch, ports=local_frame_ports(cache_bytes=1 << 20))
    finally:
        tracemalloc.stop()
    one_frame = 121 * 203 * 3 * 4
    assert watch.held[119] - watch.held[40] < 2 * one_frame


def test_seam_and_grain_make_a_model_s_patch_look_like_the_plate(tmp_path):
    """A denoising model a third of a stop too bright: the finished patch has neither fault."""
    size = (260, 340)

    def plate(frame):
        clean = grainy(*size, sigma=0.0)
        noise = np.random.default_rng(frame).normal(0, 0.03, clean.shape)
        return (clean + noise).astype(np.float32)

    class Denoiser(FakeEngine):
        def frame(self, shot, take_index, seed, frame, watch):
            made = super().frame(shot, take_index, seed, frame, watch)
            window = made.window
            clean = grainy(*size, sigma=0.0)
            made.pixels[:] = 1.25 * clean[window.y0 : window.y1, window.x0 : window.x1]
            return made

    description = describe(matches_seams=False, matches_grain=False, context_px=80)
    shot = Shot(tmp_path, kind="float", plate=plate, size=size).run(Denoiser(description))
    residuals = []
    for frame in shot.frames:
        take, spec = shot.take_frame(frame)
        inside = take[..., 3] == 1
        clean = crop_of(grainy(*size, sigma=0.0), spec)
        residual = (take[..., :3] - clean)[inside]
        assert abs(residual.mean()) < 0.01  # 0.1 before
        assert 0.02 < residual.std() < 0.04  # none before, 0.03 in the plate
        residuals.append(residual[:500])
    assert abs(np.corrcoef(residuals[0].ravel(), residuals[1].ravel())[0, 1]) < 0.15


def test_a_display_engine_leaves_highlights_alone_all_the_way(tmp_path):
    def plate(frame):
        image = grainy(121, 203, seed=frame)
        image[40:80, 80:120] *= 40
        return image

    engine = FakeEngine(
        describe(domain=ColourDomain.DISPLAY), lambda shot, f, window, seed: shot.plate(f)
    )
    shot = Shot(tmp_path, kind="half", plate=plate).run(engine)
    take, spec = shot.take_frame(1002)
    inside = take[..., 3] == 1
    np.testing.assert_allclose(
        take[inside][:, :3], crop_of(shot.plate(1002), spec)[inside], rtol=2e-3
    )
