"""The suite that every engine must pass, for hero frames round an image engine."""

import numpy as np

from genai_fill_contract.engine import ColourDomain, EngineOption, OptionType
from genai_fill_server.engines.hero.engine import HeroEngine
from tests.compliance.engines.suite import EngineCompliance
from tests.fakes.engines import FakeEngine, describe


def stripes(shot, frame, window, seed):
    """Stripes by the seed, in the image engine's own domain."""
    y, x = np.mgrid[window.y0 : window.y1, window.x0 : window.x1]
    wave = 0.5 + 0.3 * np.sin((x + y * (seed % 5)) / 4)
    return np.repeat(wave[..., None], 3, axis=-1).astype(np.float32)


def image_engine(domain):
    option = EngineOption("steps", "Steps", OptionType.INT, 4, "How many steps.", minimum=1)
    return FakeEngine(describe(id="fake", domain=domain, options=(option,)), stripes)


class TestHeroOfADisplayEngine(EngineCompliance):
    @classmethod
    def make_engine(cls):
        return HeroEngine(image_engine(ColourDomain.DISPLAY), threads=2)


class TestHeroOfASceneLinearEngine(EngineCompliance):
    options = {"hero_real_pixels": False, "hero_frames": 1}  # noqa: RUF012 - never changed

    @classmethod
    def make_engine(cls):
        return HeroEngine(image_engine(ColourDomain.SCENE_LINEAR), threads=1)
