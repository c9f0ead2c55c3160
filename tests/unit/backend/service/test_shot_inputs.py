"""Optional inputs: from files to what an engine is given."""

import numpy as np
import pytest

from genai_fill_contract.engine import ColourDomain
from genai_fill_contract.errors import (
    InvalidRequest,
    MissingFrames,
    PathNotAllowed,
    SizeMismatch,
    UnknownChannel,
    UnknownColorspace,
    UnreadableImage,
)
from genai_fill_contract.fill import OutputPlace
from genai_fill_contract.plate import FrameRange, InputRef, InputRole, PlateRef, Window
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.check_request import check_request
from genai_fill_server.service.path_policy import PathPolicy
from genai_fill_server.service.shot_view import ShotView
from tests.fakes.engines import FakeEngine, WatchRecorder, describe
from tests.fakes.plates import grainy, write_exr
from tests.fakes.shots import SIZE, Shot

EVERY_ROLE = tuple(InputRole)
LINEAR = ColourDomain.SCENE_LINEAR


@pytest.fixture
def shot(tmp_path):
    return Shot(tmp_path, kind="float")


def ref(shot, role, name, frames=(1001, 1003), **changes):
    fields = {"role": role, "path_pattern": f"{shot.folder}/in/{name}"}
    return InputRef(**(fields | {"frame_range": FrameRange(*frames)} | changes))


def view(shot, *inputs, domain=LINEAR, roles=EVERY_ROLE, watch=None):
    request = shot.request(inputs=inputs)
    engine = describe(domain=domain, inputs=roles)
    takes = allocate_takes(request, "job")
    checked = check_request(request, engine, takes, local_frame_ports(), watch or WatchRecorder())
    return ShotView(checked, domain)


def write(shot, name, pixels, names="RGBA", **more):
    return write_exr(shot.folder / "in" / name, pixels, names, "float", **more)


def painted(seed, size=SIZE):
    """A painted frame: a picture, and alpha in a box."""
    alpha = np.zeros((*size, 1), np.float32)
    alpha[40:80, 90:120] = 1
    return np.concatenate([grainy(*size, seed=seed), alpha], axis=-1)


def test_nothing_given_has_no_frames(shot):
    seen = view(shot)
    assert all(seen.input_frames(role) == () for role in InputRole)
    with pytest.raises(MissingFrames, match="patch input has no frame 1001"):
        seen.input(InputRole.PATCH, 1001)


def test_a_patch_is_read_in_plate_coordinates_with_its_alpha(shot):
    pixels = painted(5)
    write(shot, "patch.1002.exr", pixels)
    seen = view(shot, ref(shot, InputRole.PATCH, "patch.%04d.exr"))
    assert seen.input_frames(InputRole.PATCH) == (1002,)
    rgb, alpha = seen.input(InputRole.PATCH, 1002, Window(-5, 30, 150, 90))
    np.testing.assert_array_equal(rgb[:, 5:], pixels[30:90, :150, :3])
    np.testing.assert_array_equal(alpha[:, 5:], pixels[30:90, :150, 3])
    assert not rgb[:, :5].any()
    assert not alpha[:, :5].any()
    crop = seen.window(1002)
    rgb, alpha = seen.input(InputRole.PATCH, 1002)
    assert rgb.shape == (crop.height, crop.width, 3)
    assert alpha.shape == rgb.shape[:2]


def test_without_an_alpha_everything_in_the_data_window_counts(shot):
    write(
        shot,
        "patch.1002.exr",
        grainy(20, 30),
        "RGB",
        data=(50, 60),
        display=(0, 0, SIZE[1], SIZE[0]),
    )
    seen = view(shot, ref(shot, InputRole.PATCH, "patch.%04d.exr"))
    _, alpha = seen.input(InputRole.PATCH, 1002, seen.plate_window)
    expected = np.zeros(SIZE, np.float32)
    expected[60:80, 50:80] = 1
    np.testing.assert_array_equal(alpha, expected)


def test_patches_of_several_files_are_one_input_by_frame(shot):
    write(shot, "a.exr", painted(1))
    write(shot, "b.1001.exr", painted(2))
    still = ref(shot, InputRole.PATCH, "a.exr", (1003, 1003))
    sequence = ref(shot, InputRole.PATCH, "b.%04d.exr")
    seen = view(shot, still, sequence)
    assert seen.input_frames(InputRole.PATCH) == (1001, 1003)
    first, _ = seen.input(InputRole.PATCH, 1001, seen.plate_window)
    last, _ = seen.input(InputRole.PATCH, 1003, seen.plate_window)
    np.testing.assert_array_equal(first, painted(2)[..., :3])
    np.testing.assert_array_equal(last, painted(1)[..., :3])


def test_two_patches_of_one_frame_are_refused_by_name(shot):
    write(shot, "a.exr", painted(1))
    write(shot, "b.1003.exr", painted(2))
    still = ref(shot, InputRole.PATCH, "a.exr", (1003, 1003))
    with pytest.raises(InvalidRequest, match=r"1003.*a\.exr and .*b\.1003\.exr"):
        view(shot, still, ref(shot, InputRole.PATCH, "b.%04d.exr"))


def test_colour_passes_colour_management_and_data_does_not(shot):
    colour = (0.5, 0.25, 0.125)  # no grey: that is the same in every set of primaries
    pixels = np.full((*SIZE, 3), colour, np.float32)
    write(shot, "still.exr", pixels, "RGB")
    patch = ref(shot, InputRole.PATCH, "still.exr", colorspace="Linear Rec.709 (sRGB)")
    control = ref(shot, InputRole.CONTROL, "still.exr", colorspace="no such space")
    linear = view(shot, patch, control)
    window = Window(10, 10, 20, 20)
    assert (linear.input(InputRole.CONTROL, 1001, window)[0] == colour).all()
    display = view(shot, patch, control, domain=ColourDomain.DISPLAY)
    assert (display.input(InputRole.CONTROL, 1001, window)[0] == colour).all()
    seen = display.input(InputRole.PATCH, 1001, window)[0]
    # What was Rec.709 is seen through the sRGB curve alone, whatever lies between.
    assert np.abs(seen - (0.735, 0.537, 0.389)).max() < 0.002
    back = display.to_scene_linear(seen)
    np.testing.assert_allclose(back, linear.input(InputRole.PATCH, 1001, window)[0], atol=1e-4)


def test_a_reference_may_have_any_size(shot):
    pixels = grainy(33, 57, seed=4)
    write(shot, "look.exr", pixels, "RGB")
    seen = view(shot, ref(shot, InputRole.REFERENCE, "look.exr", (1, 1)))
    assert seen.input_frames(InputRole.REFERENCE) == (1,)
    rgb, alpha = seen.input(InputRole.REFERENCE, 1)
    np.testing.assert_array_equal(rgb, pixels)
    assert (alpha == 1).all()
    part, _ = seen.input(InputRole.REFERENCE, 1, Window(5, 6, 15, 26))
    np.testing.assert_array_equal(part, pixels[6:26, 5:15])


def test_motion_points_down_once_it_is_read(shot):
    vectors = np.zeros((*SIZE, 2), np.float32)
    vectors[..., 0], vectors[..., 1] = 3.0, 2.0  # right and, in Nuke, up
    for frame in shot.frames:
        write(shot, f"motion.{frame}.exr", vectors, ("forward.u", "forward.v"))
    given = ref(shot, InputRole.MOTION_FORWARD, "motion.%04d.exr", layer="forward")
    rgb, _ = view(shot, given).input(InputRole.MOTION_FORWARD, 1001)
    assert (rgb[..., 0] == 3).all()
    assert (rgb[..., 1] == -2).all()
    assert (rgb[..., 2] == 0).all()


def test_a_layer_of_one_channel_is_a_control(shot):
    depth = grainy(*SIZE, seed=8)[..., :1]
    write(shot, "depth.exr", depth, ("depth.Z",))
    rgb, _ = view(shot, ref(shot, InputRole.CONTROL, "depth.exr", layer="depth")).input(
        InputRole.CONTROL, 1002, Window(0, 0, SIZE[1], SIZE[0])
    )
    np.testing.assert_array_equal(rgb, np.repeat(depth, 3, axis=-1))


def test_what_is_not_a_number_does_not_count(shot):
    pixels = painted(3)
    pixels[50, 100, 1] = np.nan
    pixels[51, 101, 3] = np.inf
    write(shot, "patch.1002.exr", pixels)
    seen = view(shot, ref(shot, InputRole.PATCH, "patch.%04d.exr"))
    rgb, alpha = seen.input(InputRole.PATCH, 1002, seen.plate_window)
    assert np.isfinite(rgb).all()
    assert alpha[50, 100] == alpha[51, 101] == 0
    assert alpha[52, 102] == 1


def test_roles_that_an_engine_does_not_use_are_told_once_and_not_read(shot):
    watch = WatchRecorder()
    absent = ref(shot, InputRole.CONTROL, "nowhere.%04d.exr")
    seen = view(shot, absent, absent, roles=(InputRole.PATCH,), watch=watch)
    assert seen.input_frames(InputRole.CONTROL) == ()
    assert len([line for line in watch.lines if "control" in line]) == 1


@pytest.mark.parametrize("role", [role for role in InputRole if role is not InputRole.REFERENCE])
def test_another_size_than_the_plates_is_named(shot, role):
    write(shot, "small.exr", grainy(20, 30), "RGB")
    with pytest.raises(SizeMismatch, match="30 x 20"):
        view(shot, ref(shot, role, "small.exr"))


def test_faults_are_told_before_any_work(shot):
    write(shot, "patch.1002.exr", painted(5))
    (shot.folder / "in/broken.1001.exr").write_bytes(b"not an image")
    good = {"role": InputRole.PATCH, "name": "patch.%04d.exr"}
    with pytest.raises(UnknownColorspace, match="No such"):
        view(shot, ref(shot, **good, colorspace="No such"))
    with pytest.raises(UnknownChannel, match="sparkle"):
        view(shot, ref(shot, **good, layer="sparkle"))
    with pytest.raises(MissingFrames, match="1001-1003 of the patch input"):
        view(shot, ref(shot, InputRole.PATCH, "none.%04d.exr"))
    with pytest.raises(UnreadableImage):
        view(shot, ref(shot, InputRole.PATCH, "broken.%04d.exr"))


def test_data_must_be_there_on_every_frame_it_claims(shot):
    write(shot, "depth.1002.exr", painted(1))
    with pytest.raises(MissingFrames, match="1001, 1003 of the control input"):
        view(shot, ref(shot, InputRole.CONTROL, "depth.%04d.exr"))
    seen = view(shot, ref(shot, InputRole.CONTROL, "depth.%04d.exr", (1002, 1002)))
    assert seen.input_frames(InputRole.CONTROL) == (1002,)


def test_inputs_must_lie_under_the_allowed_roots(shot, tmp_path):
    outside = InputRef(InputRole.MOTION_FORWARD, "/elsewhere/mv.%04d.exr", FrameRange(1001, 1003))
    with pytest.raises(PathNotAllowed, match="motion forward input /elsewhere"):
        PathPolicy([str(tmp_path)]).check_request(shot.request(inputs=(outside,)), describe())
    link = shot.folder / "in/patch.1002.exr"
    link.symlink_to("/etc/hostname")
    linked = ref(shot, InputRole.PATCH, "patch.%04d.exr")
    with pytest.raises(PathNotAllowed, match="patch input"):
        PathPolicy([str(tmp_path)]).check_request(shot.request(inputs=(linked,)), describe())


def test_a_view_of_another_domain_is_the_same_shot(shot):
    seen = view(shot)
    display = seen.in_domain(ColourDomain.DISPLAY)
    assert display.in_domain(ColourDomain.DISPLAY) is display
    assert display.frames == seen.frames
    linear = seen.plate(1001)
    np.testing.assert_array_equal(display.from_scene_linear(linear), display.plate(1001))
    np.testing.assert_allclose(display.to_scene_linear(display.plate(1001)), linear, atol=2e-4)
    np.testing.assert_array_equal(seen.from_scene_linear(linear), linear)


def test_a_run_fills_from_a_patch_and_its_recipe_names_it(shot):
    write(shot, "patch.1002.exr", painted(5))

    def paint(seen, frame, window, seed):
        if frame in seen.input_frames(InputRole.PATCH):
            return seen.input(InputRole.PATCH, frame)[0]
        return 0.1

    given = ref(shot, InputRole.PATCH, "patch.%04d.exr")
    engine = FakeEngine(describe(inputs=(InputRole.PATCH,)), paint)
    shot.run(engine, inputs=(given,))
    pixels, spec = shot.take_frame(1002)
    x, y = 100 - (spec.x - spec.full_x), 60 - (spec.y - spec.full_y)
    np.testing.assert_allclose(pixels[y, x, :3], painted(5)[60, 100, :3], atol=1e-3)
    assert shot.recipe()["request"]["inputs"][0]["path_pattern"] == given.path_pattern


def test_what_was_generated_stays_so_when_it_is_carried(shot):
    maker = FakeEngine(describe(id="maker", model="a/model"))
    shot.run(maker, output=OutputPlace(f"{shot.folder}/approved", "hero"))
    approved = InputRef(InputRole.PATCH, shot.takes[0].path_pattern, FrameRange(1002, 1002))
    carrier = describe(id="carrier", inputs=(InputRole.PATCH,))
    shot.run(FakeEngine(carrier), inputs=(approved,))
    assert shot.recipe()["digital_source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
    _, spec = shot.take_frame(1001)
    kind = spec.getattribute("Iptc4xmpExt:DigitalSourceType")
    assert kind.endswith("/compositeWithTrainedAlgorithmicMedia")
    # An engine that does not look at patches has none of it.
    shot.run(FakeEngine(describe()), inputs=(approved,))
    assert shot.recipe()["digital_source_type"].endswith("/compositeCapture")


def test_a_fill_of_a_generated_plate_is_not_called_a_capture(shot):
    maker = FakeEngine(describe(id="maker", model="a/model"))
    shot.run(maker, output=OutputPlace(f"{shot.folder}/first", "hero"))
    plate = PlateRef(shot.takes[0].path_pattern, shot.frames)
    shot.run(FakeEngine(describe()), plate=plate)
    assert shot.recipe()["digital_source_type"].endswith("/compositeWithTrainedAlgorithmicMedia")
