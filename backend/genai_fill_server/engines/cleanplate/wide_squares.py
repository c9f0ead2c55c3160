"""The one operation whose machine code is written by hand: many squares at once.

Compilers add floats one after the other, as the language says, or vectorise for loops longer
than a patch's row is. Here the sum of 32 squares is asked for as such, in any order: each
processor does it with the widest registers it has.
"""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

WIDE = 32
"""How many values are summed."""


@intrinsic
def wide_squares(_context, flat, own, other):  # type: ignore[no-untyped-def]
    """Return the sum of squared differences of the `WIDE` values from two places of ``flat``.

    ``flat`` is a contiguous array of float32, ``own`` and ``other`` are uint64 indices. For
    compiled functions only. Nothing asks whether the places are inside the array.
    """

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        number = ir.FloatType()
        wide = ir.VectorType(number, WIDE)
        first, second = (
            builder.load(
                builder.bitcast(builder.gep(array.data, [place]), wide.as_pointer()), align=4
            )
            for place in arguments[1:]
        )
        apart = builder.fsub(first, second)
        total = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module,
            ir.FunctionType(number, [number, wide]),
            f"llvm.vector.reduce.fadd.v{WIDE}f32",
        )
        squares = builder.fmul(apart, apart)
        return builder.call(total, [ir.Constant(number, 0.0), squares], fastmath=("reassoc",))

    return types.float32(flat, own, other), code
