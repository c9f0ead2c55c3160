import numpy as np
import pytest

from genai_fill_contract.errors import ConfigError, UnknownColorspace
from genai_fill_contract.plate import ColourSettings
from genai_fill_server.imaging.colour import OcioColour

RNG = np.random.default_rng(0)
IMAGE = (10 ** RNG.uniform(-4, 2, (40, 50, 3))).astype(np.float32)

NO_ROLES = """ocio_profile_version: 2
roles: {scene_linear: lin, default: lin}
file_rules: [!<Rule> {name: Default, colorspace: lin}]
displays: {d: [!<View> {name: v, colorspace: lin}]}
active_displays: []
active_views: []
colorspaces:
  - !<ColorSpace> {name: lutless, from_scene_reference: !<FileTransform> {src: gone.cube}}
  - !<ColorSpace> {name: lin, encoding: scene-linear}
  - !<ColorSpace>
    name: gained
    from_scene_reference: !<MatrixTransform>
      {matrix: [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]}
"""


def test_the_default_is_a_builtin_aces_config():
    facts = OcioColour(ColourSettings()).describe()
    assert facts["ocio_config"].startswith("ocio://cg-config-")
    assert facts["working_colorspace"] == "ACEScg"


def test_rec709_and_back_is_exact_for_highlights_and_negatives():
    colour = OcioColour(ColourSettings())
    image = IMAGE.copy()
    image[::7] *= -1
    there = colour.to_rec709(image)
    assert not np.allclose(there, image)
    back = colour.from_rec709(there)
    np.testing.assert_allclose(back, image, rtol=1e-5, atol=1e-5 * np.abs(image).max())


def test_rec709_white_and_red_are_what_the_primaries_say():
    colour = OcioColour(ColourSettings())
    white = colour.to_rec709(np.ones((1, 1, 3), np.float32))
    np.testing.assert_allclose(white, 1, atol=2e-4)
    red = colour.from_rec709(np.array([[[1, 0, 0]]], np.float32))
    np.testing.assert_allclose(red[0, 0], [0.6131, 0.0702, 0.0206], atol=3e-4)


def test_the_working_space_itself_is_not_touched_under_any_of_its_names():
    colour = OcioColour(ColourSettings(working_space="scene_linear"))
    for name in ("scene_linear", "ACEScg", "lin_ap1"):
        assert colour.is_working(name)
        assert colour.to_working(IMAGE, name) is IMAGE
    assert not colour.is_working("ACES2065-1")


def test_images_given_in_are_left_alone_even_read_only():
    colour = OcioColour(ColourSettings())
    image = IMAGE.copy()
    image.flags.writeable = False
    colour.to_working(image, "ACES2065-1")
    colour.to_rec709(image)
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize("name", ["ACES2065", "aces 2065-1", "Acescgg", "lin rec709 srgb"])
def test_an_unknown_colorspace_names_the_nearest(name):
    with pytest.raises(UnknownColorspace, match="nearest") as caught:
        OcioColour(ColourSettings()).check(name)
    hint = caught.value.hint
    assert any(known in hint for known in ("ACES2065-1", "ACEScg", "Linear Rec.709 (sRGB)"))


def test_an_unknown_working_space_is_told_at_once():
    with pytest.raises(UnknownColorspace, match="'nonsense'"):
        OcioColour(ColourSettings(working_space="nonsense"))


@pytest.mark.parametrize("source", ["/nowhere/config.ocio", "ocio://no-such-config"])
def test_a_config_that_is_not_there_is_named(source):
    with pytest.raises(ConfigError, match=source):
        OcioColour(ColourSettings(source))


def test_a_broken_config_is_told(tmp_path):
    path = tmp_path / "config.ocio"
    path.write_text("ocio_profile_version: 2\ncolorspaces: [")
    with pytest.raises(ConfigError, match=r"config\.ocio"):
        OcioColour(ColourSettings(str(path)))


def test_a_config_without_interchange_says_what_was_assumed(tmp_path):
    path = tmp_path / "config.ocio"
    path.write_text(NO_ROLES)
    colour = OcioColour(ColourSettings(str(path)))
    np.testing.assert_array_equal(colour.to_rec709(IMAGE), IMAGE)
    assert "Rec.709 primaries" in colour.describe()["note"]
    np.testing.assert_allclose(colour.to_working(IMAGE, "gained"), IMAGE / 2, rtol=1e-6)


def test_broken_pixels_pass_through_colour_as_they_are():
    colour = OcioColour(ColourSettings())
    image = IMAGE.copy()
    image[3, 4] = [np.nan, 1, 1]
    done = colour.to_working(image, "ACES2065-1")
    assert np.isnan(done[3, 4]).any()
    assert np.isfinite(np.delete(done.reshape(-1, 3), 3 * 50 + 4, axis=0)).all()


def test_a_lut_that_is_gone_is_told(tmp_path):
    path = tmp_path / "config.ocio"
    path.write_text(NO_ROLES)
    with pytest.raises(ConfigError, match="lutless"):
        OcioColour(ColourSettings(str(path))).to_working(IMAGE, "lutless")
