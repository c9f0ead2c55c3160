import numpy as np
import OpenImageIO as oiio
import pytest

from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.plate import ColourSettings
from genai_fill_server.imaging.thumbnail import thumbnail_png
from tests.fakes.plates import grainy, write_exr


def shown(path, width=64, tmp=None):
    png = thumbnail_png(str(path), 1, width, ColourSettings())
    file = path.with_suffix(".png")
    file.write_bytes(png)
    image = oiio.ImageInput.open(str(file))
    pixels = image.read_image("uint8")
    image.close()
    return pixels


def test_a_thumbnail_is_the_data_window_in_srgb(tmp_path):
    grey = np.full((90, 160, 4), 0.18, np.float32)
    path = write_exr(tmp_path / "a.exr", grey, data=(500, 300), display=(0, 0, 1920, 1080))
    pixels = shown(path)
    assert pixels.shape == (36, 64, 3)
    assert np.abs(pixels.astype(int) - 118).max() <= 1  # 18 % grey in sRGB


def test_highlights_roll_off_and_broken_pixels_are_black(tmp_path):
    image = np.full((64, 64, 4), 0.5, np.float32)
    image[:, 16:32, :3] = 4.0
    image[:, 32:48, :3] = 40.0
    image[:, 48:, :3] = np.nan
    row = shown(write_exr(tmp_path / "a.exr", image))[32, :, 1].astype(int)
    assert row[8] < row[24] < row[40] == 255
    assert row[56] == 0


def test_anamorphic_pixels_are_shown_square(tmp_path):
    path = write_exr(tmp_path / "a.exr", grainy(100, 100), "RGB", PixelAspectRatio=2.0)
    assert shown(path, 100).shape == (50, 100, 3)


@pytest.mark.parametrize(("asked", "given"), [(1, 16), (10**9, 2048)])
def test_the_size_is_kept_within_bounds(tmp_path, asked, given):
    path = write_exr(tmp_path / "a.exr", grainy(20, 40), "RGB")
    assert shown(path, asked).shape[1] == given


def test_a_frame_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MissingFrames):
        thumbnail_png(str(tmp_path / "a.exr"), 5, 64, ColourSettings())
