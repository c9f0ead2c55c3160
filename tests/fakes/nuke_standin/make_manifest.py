"""Write tests/data/nuke_manifest.json from the full API survey: names and signatures only.

Usage: python -m tests.fakes.nuke_standin.make_manifest SURVEY.json OUT.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

USED_CLASSES = """
Read Write Keymix Merge2 Copy Shuffle2 Switch Dissolve Crop Reformat Constant CheckerBoard2
Grade Blur Expression NoOp Dot Input Output Group BlackOutside Premult Unpremult AddChannels
Remove Multiply StickyNote FrameHold TimeOffset Invert Viewer Roto OneView JoinViews
""".split()  # noqa: SIM905 - a table reads better in lines


def parameters(signature: str) -> str:
    """Keep the parenthesis of a signature, drop its prose."""
    found = re.search(r"\((.*?)\)\s*(->|$|\.)", signature) or re.search(r"\((.*)\)", signature)
    inside = found[1] if found else "?"
    return re.sub(r"^self,?\s*", "", inside)


def compact_knob(knob: dict[str, object]) -> list[object]:
    """Return [class, default, values?, hidden?] of one knob."""
    default = knob.get("default")
    if isinstance(default, str) and default.startswith("<"):
        default = None
    row: list[object] = [knob["class"], default, knob.get("values"), int(bool(knob.get("hidden")))]
    while row and not row[-1]:
        if len(row) <= 2:
            break
        row.pop()
    return row


def build(survey: dict[str, dict]) -> dict[str, object]:
    """Return the compact manifest."""
    nodes = survey["nodes_17_0v3"]
    tables = {
        name: {knob: compact_knob(row) for knob, row in nodes[name]["knobs"].items()}
        for name in USED_CLASSES
        if nodes.get(name, {}).get("knobs")
    }
    common = tables["NoOp"]
    return {
        "functions": {
            name: parameters(row.get("signature") or "(?)")
            for name, row in survey["functions"].items()
        },
        "classes": {
            name: {
                "bases": [base for base in row["bases"] if base in survey["classes"]],
                "methods": {
                    method: parameters(entry.get("signature_16") or entry.get("signature") or "(?)")
                    for method, entry in row["methods"].items()
                    if method not in ("__hash__", "__weakref__", "__init__")
                },
            }
            for name, row in survey["classes"].items()
        },
        "constants": {
            name: survey["constant_values_15_0v1"].get(name) for name in survey["constants"]
        },
        "attributes": list(survey["module_attributes"]),
        "env": survey["env_keys"]["15.0v1"],
        "knob_types": survey["knob_types"],
        "exr_writer_knobs": {
            name: row for name, row in survey["exr_writer_knobs"].items() if name != "source"
        },
        "nukescripts": survey["nukescripts_16"]["Functions"] + survey["nukescripts_16"]["Classes"],
        "nukescripts.panels": [name for name in survey["nukescripts_panels"] if name != "source"],
        "nodes": {name: [row["min_inputs"], row["max_inputs"]] for name, row in nodes.items()},
        "common_knobs": common,
        "knobs": {
            name: {knob: row for knob, row in table.items() if common.get(knob) != row}
            for name, table in tables.items()
        },
    }


def main() -> None:
    survey_path, out_path = map(Path, sys.argv[1:3])
    manifest = build(json.loads(survey_path.read_text()))
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in manifest.items()]
    out_path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
