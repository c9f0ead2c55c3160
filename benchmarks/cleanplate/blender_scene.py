"""Renders one scene as linear EXR files, in the interpreter of Blender's module ``bpy``.

Run by `benchmarks.cleanplate.blender`, never imported: ``python blender_scene.py SPEC FOLDER``,
where SPEC is a JSON file with ``scene``, ``seed``, ``frames``, ``width``, ``height`` and
``samples``. ``bpy`` is under the GPL; this file only uses it in a process of its own, and
nothing of the product does.

Everything in a scene is made from primitives and procedural textures, so no asset is needed.
Y points away from the camera, z up; a unit is about a metre.
"""

import json
import math
import random
import sys
from pathlib import Path

import bpy
from mathutils import Vector


class Builder:
    """Puts things into an empty scene; ``random`` decides what varies with the seed."""

    def __init__(self, seed):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.random = random.Random(seed)
        self.scene = bpy.context.scene
        world = bpy.data.worlds.new("sky")
        self.scene.world = world
        world.use_nodes = True
        self.sky = world.node_tree.nodes["Background"].inputs

    def textured(self, kind, scale, dark, light, rough=0.8):
        """Return a material with a procedural texture between two colours."""
        material = bpy.data.materials.new(kind)
        material.use_nodes = True
        nodes, links = material.node_tree.nodes, material.node_tree.links
        surface = nodes["Principled BSDF"]
        surface.inputs["Roughness"].default_value = rough
        place = nodes.new("ShaderNodeTexCoord")
        if kind == "brick":
            texture = nodes.new("ShaderNodeTexBrick")
            texture.inputs["Color1"].default_value = (*dark, 1)
            texture.inputs["Color2"].default_value = (*light, 1)
            texture.inputs["Mortar"].default_value = (0.6, 0.58, 0.55, 1)
            links.new(texture.outputs["Color"], surface.inputs["Base Color"])
        else:
            texture = nodes.new(
                "ShaderNodeTexVoronoi" if kind == "stones" else "ShaderNodeTexNoise"
            )
            ramp = nodes.new("ShaderNodeValToRGB")
            ramp.color_ramp.elements[0].color = (*dark, 1)
            ramp.color_ramp.elements[1].color = (*light, 1)
            ramp.color_ramp.elements[0].position = 0.3
            ramp.color_ramp.elements[1].position = 0.7
            if kind != "stones":
                texture.inputs["Detail"].default_value = 10.0
            out = "Distance" if kind == "stones" else 0
            links.new(texture.outputs[out], ramp.inputs[0])
            links.new(ramp.outputs[0], surface.inputs["Base Color"])
        texture.inputs["Scale"].default_value = scale
        links.new(place.outputs["Object"], texture.inputs["Vector"])
        return material

    def glowing(self, colour, strength):
        """Return a material that emits light."""
        material = bpy.data.materials.new("glow")
        material.use_nodes = True
        surface = material.node_tree.nodes["Principled BSDF"].inputs
        surface["Emission Color"].default_value = (*colour, 1)
        surface["Emission Strength"].default_value = strength
        return material

    def box(self, place, size, material):
        """Add a box, resting where its centre is given."""
        bpy.ops.mesh.primitive_cube_add(size=1, location=place)
        return self._made(material, scale=size)

    def plane(self, place, size, material, turn=(0, 0, 0)):
        """Add a rectangle."""
        bpy.ops.mesh.primitive_plane_add(size=1, location=place, rotation=turn)
        return self._made(material, scale=(*size, 1))

    def ball(self, place, radius, material):
        """Add a smooth ball."""
        bpy.ops.mesh.primitive_uv_sphere_add(radius=radius, location=place, segments=32)
        bpy.ops.object.shade_smooth()
        return self._made(material)

    def rod(self, start, end, radius, material):
        """Add a thin cylinder between two points."""
        a, b = Vector(start), Vector(end)
        bpy.ops.mesh.primitive_cylinder_add(
            radius=radius, depth=(b - a).length, location=(a + b) / 2, vertices=12
        )
        bpy.context.object.rotation_euler = (b - a).to_track_quat("Z", "Y").to_euler()
        return self._made(material)

    def _made(self, material, scale=None):
        thing = bpy.context.object
        if scale is not None:
            thing.scale = scale
            bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
        thing.data.materials.append(material)
        return thing

    def sun(self, strength, turn, soft=0.02):
        """Add a distant light."""
        bpy.ops.object.light_add(type="SUN", rotation=turn)
        light = bpy.context.object.data
        light.energy, light.angle = strength, soft

    def camera(self, places, looks, lens=32.0):
        """Move a camera through ``places``, looking at ``looks``, one of each a frame."""
        bpy.ops.object.camera_add()
        camera = bpy.context.object
        camera.data.lens = lens
        self.scene.camera = camera
        camera.rotation_mode = "QUATERNION"
        for frame, (place, look) in enumerate(zip(places, looks, strict=True)):
            camera.location = place
            way = Vector(look) - Vector(place)
            camera.rotation_quaternion = way.to_track_quat("-Z", "Y")
            camera.keyframe_insert("location", frame=frame)
            camera.keyframe_insert("rotation_quaternion", frame=frame)
        straighten(camera)


def straighten(thing):
    """Make every animation curve of ``thing`` run straight between its keys."""
    for layer in thing.animation_data.action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                for curve in bag.fcurves:
                    for key in curve.keyframe_points:
                        key.interpolation = "LINEAR"


def spread(count):
    """Return ``count`` numbers from -1 to 1."""
    return [2.0 * i / max(1, count - 1) - 1.0 for i in range(count)]


def outdoors(build):
    """Add ground, sky and a sun."""
    build.sky["Color"].default_value = (0.35, 0.5, 0.8, 1)
    build.sky["Strength"].default_value = 0.5
    build.sun(2.6, (math.radians(48), 0, math.radians(build.random.uniform(15, 45))))
    ground = build.textured("stones", 3.0, (0.07, 0.06, 0.04), (0.4, 0.36, 0.26))
    build.plane((0, 20, 0), (90, 60), ground)
    wall = build.textured("brick", 1.1, (0.32, 0.11, 0.07), (0.45, 0.2, 0.13))
    build.plane((0, 24, 5), (60, 16), wall, (math.radians(90), 0, 0))


def parallax(build, frames):
    """Things at six depths; the camera slides past them and turns a little."""
    outdoors(build)
    pick = build.random
    kinds = ("brick", "noise", "stones", "noise")
    for number, depth in enumerate((6.5, 8.5, 11.0, 14.0, 18.0)):
        for side in (-1, 0, 1):
            dark = tuple(pick.uniform(0.03, 0.2) for _ in range(3))
            light = tuple(pick.uniform(0.3, 0.8) for _ in range(3))
            kind = kinds[(number + side) % 4]
            look = build.textured(kind, pick.uniform(2, 5), dark, light)
            height = pick.uniform(0.8, 3.0) * depth / 10
            x = (side + pick.uniform(-0.35, 0.35)) * depth * 0.42
            build.box((x, depth, height / 2), (depth * 0.09, 0.8, height), look)
    speed = pick.uniform(0.55, 0.8) * pick.choice((-1, 1))
    steps = spread(frames)
    build.camera(
        [(speed * u, 0.15 * u, 1.7 + 0.1 * u) for u in steps],
        [(speed * u + 0.3 * u, 12, 1.5) for u in steps],
    )


def tree(build, bark, foot, pick):
    """Add branches that fork thrice."""
    ends = [(Vector(foot), Vector((0, 0, 1)), 1.1, 0.05)]
    for _ in range(4):
        grown = []
        for start, way, length, radius in ends:
            tip = start + way * length
            build.rod(start, tip, radius, bark)
            for _ in range(2):
                off = Vector((pick.uniform(-0.7, 0.7), pick.uniform(-0.3, 0.3), 0.4))
                grown.append((tip, (way + off).normalized(), length * 0.72, radius * 0.6))
        ends = grown


def thin(build, frames):
    """A railing, wires and bare branches before a wall."""
    outdoors(build)
    pick = build.random
    iron = build.textured("noise", 8.0, (0.02, 0.02, 0.025), (0.08, 0.08, 0.09), 0.5)
    bark = build.textured("noise", 9.0, (0.05, 0.035, 0.02), (0.18, 0.13, 0.09))
    for number in range(-22, 23):
        build.rod((number * 0.3, 8.0, 0.0), (number * 0.3, 8.0, 1.1), 0.016, iron)
    build.rod((-8, 8.0, 1.1), (8, 8.0, 1.1), 0.03, iron)
    build.rod((-8, 8.0, 0.15), (8, 8.0, 0.15), 0.02, iron)
    for height in (3.1, 3.5):
        build.rod((-12, 12.0, height), (12, 10.0, height - 0.4), 0.018, iron)
    for x in (-2.6, 0.3, 3.2):
        tree(build, bark, (x + pick.uniform(-0.5, 0.5), 10.5, 0.0), pick)
    speed = pick.uniform(0.3, 0.45) * pick.choice((-1, 1))
    steps = spread(frames)
    build.camera(
        [(speed * u, 0, 1.6) for u in steps], [(1.6 * speed * u, 12, 1.7) for u in steps], 36.0
    )


def blurred(build, frames):
    """The parallax scene under a camera that gathers speed, with an open shutter."""
    parallax(build, frames)
    camera = build.scene.camera
    camera.animation_data_clear()
    for frame, u in enumerate(spread(frames)):
        run = 0.6 * u + 0.35 * u * abs(u)
        camera.location = (run, 0, 1.7)
        way = Vector((run * 1.7, 12, 1.5)) - Vector(camera.location)
        camera.rotation_quaternion = way.to_track_quat("-Z", "Y")
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_quaternion", frame=frame)
    straighten(camera)
    build.scene.render.use_motion_blur = True
    build.scene.render.motion_blur_shutter = 0.6


def shadowed(build, frames, move=True):
    """A shadow wanders over ground and wall; what casts it is never in the picture."""
    outdoors(build)
    pick = build.random
    look = build.textured("noise", 3.0, (0.1, 0.1, 0.12), (0.6, 0.55, 0.5))
    for depth in (9.0, 13.0):
        x = pick.uniform(-2.5, 2.5)
        build.box((x, depth, 0.8), (1.6, 1.0, 1.6), look)
    caster = build.box((0, 0, 4.5), (5.0, 2.2, 0.2), look)
    caster.visible_camera = False
    steps = spread(frames)
    for frame, u in enumerate(steps):
        caster.location = (3.2 * u + 2.0, 6.0, 4.5)
        caster.keyframe_insert("location", frame=frame)
    straighten(caster)
    speed = 0.4 * pick.choice((-1, 1)) if move else 0.0
    build.camera([(speed * u, 0, 1.8) for u in steps], [(1.5 * speed * u, 11, 1.2) for u in steps])


def shadowed_tripod(build, frames):
    """The wandering shadow, seen by a camera that stands."""
    shadowed(build, frames, move=False)


def lamps(build, frames):
    """A dark room with bare lamps, some far above white, and a floor that mirrors a little."""
    pick = build.random
    build.sky["Color"].default_value = (0.02, 0.025, 0.04, 1)
    floor = build.textured("noise", 2.5, (0.05, 0.04, 0.03), (0.2, 0.17, 0.14), 0.45)
    build.plane((0, 10, 0), (40, 40), floor)
    wall = build.textured("brick", 1.4, (0.2, 0.12, 0.08), (0.3, 0.2, 0.15))
    build.plane((0, 16, 4), (40, 12), wall, (math.radians(90), 0, 0))
    box = build.textured("stones", 4.0, (0.05, 0.05, 0.08), (0.5, 0.5, 0.55))
    for number in range(9):
        x = (number - 4) * 1.15 + pick.uniform(-0.3, 0.3)
        depth = pick.uniform(8.0, 14.0)
        warm = (1.0, pick.uniform(0.55, 0.8), pick.uniform(0.25, 0.5))
        lamp = build.glowing(warm, pick.uniform(8.0, 60.0))
        build.ball((x, depth, pick.uniform(0.6, 3.2)), pick.uniform(0.08, 0.2), lamp)
        if number % 2 == 0:
            build.box((x + 0.4, depth + 1.2, 0.6), (0.7, 0.7, 1.2), box)
    speed = pick.uniform(0.35, 0.5) * pick.choice((-1, 1))
    steps = spread(frames)
    build.camera([(speed * u, 0, 1.7) for u in steps], [(1.8 * speed * u, 12, 1.6) for u in steps])


SCENES = {
    "parallax": parallax,
    "thin": thin,
    "blurred": blurred,
    "shadowed": shadowed,
    "shadowed_tripod": shadowed_tripod,
    "lamps": lamps,
}


def render(spec, folder):
    """Render every frame of ``spec`` to ``folder``."""
    build = Builder(spec["seed"])
    SCENES[spec["scene"]](build, spec["frames"])
    scene = build.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = spec["samples"]
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.max_bounces = 2
    scene.cycles.use_adaptive_sampling = False
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y = spec["width"], spec["height"]
    scene.render.resolution_percentage = 100
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 2
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.color_depth = "32"
    for frame in range(spec["frames"]):
        scene.frame_set(frame)
        scene.cycles.seed = 1000 * spec["seed"] + frame
        scene.render.filepath = str(folder / f"{frame:04d}.exr")
        bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    render(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
