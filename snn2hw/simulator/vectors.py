"""What compiled code says outright because Numba has no word for it: sums of 16 neighbours as one
vector, and the list of the entries of 16 that are not zero.

A loop over the few channels of a convolution's tap is too short for LLVM's loop vectoriser, which
spends more on checks and remainders than on the sums. These intrinsics say outright what to add;
LLVM makes of them what the processor has.

They read and write ``WIDTH`` entries whatever a run's length, so both arrays need that much room
behind it, and the weights there must be zero.
"""

# mypy: ignore-errors

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 16


def _place(context, builder, kind, array, index, element):
    """Pointer to ``WIDTH`` entries of an array from an index on."""
    data = context.make_array(kind)(context, builder, array).data
    at = builder.gep(data, [index])
    return builder.bitcast(at, ir.VectorType(element, WIDTH).as_pointer())


def _load(builder, pointer, align):
    loaded = builder.load(pointer)
    loaded.align = align
    return loaded


def _splat(builder, value, element):
    vector = ir.VectorType(element, WIDTH)
    lane = builder.insert_element(
        ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(lane, ir.Constant(vector, ir.Undefined), zeros)


def _add_to(builder, into, summed, shift):
    """``into[:] += summed << shift``."""
    wide = ir.IntType(32)
    shifted = builder.shl(summed, _splat(builder, builder.trunc(shift, wide), wide))
    total = builder.store(builder.add(_load(builder, into, 4), shifted), into)
    total.align = 4


@intrinsic
def add_one(typing, acc, to, weights, a, shift):
    """``acc[to:to+16] += weights[a:a+16] << shift``. int32, int64, int8, int64, int64."""

    def build(context, builder, signature, args):
        byte, wide = ir.IntType(8), ir.IntType(32)
        first = _place(context, builder, signature.args[2], args[2], args[3], byte)
        into = _place(context, builder, signature.args[0], args[0], args[1], wide)
        summed = builder.sext(_load(builder, first, 1), ir.VectorType(wide, WIDTH))
        _add_to(builder, into, summed, args[4])
        return context.get_dummy_value()

    return types.void(acc, types.int64, weights, types.int64, types.int64), build


@intrinsic
def add_four(typing, acc, to, weights, a, b, c, d, shift):
    """``acc[to:to+16] += (weights[a:] + weights[b:] + weights[c:] + weights[d:]) << shift``."""

    def build(context, builder, signature, args):
        byte, half, wide = ir.IntType(8), ir.IntType(16), ir.IntType(32)
        short = ir.VectorType(half, WIDTH)
        parts = [
            builder.sext(
                _load(builder, _place(context, builder, signature.args[2], args[2], at, byte), 1),
                short,
            )
            for at in args[3:7]
        ]
        summed = builder.add(builder.add(parts[0], parts[1]), builder.add(parts[2], parts[3]))
        into = _place(context, builder, signature.args[0], args[0], args[1], wide)
        _add_to(builder, into, builder.sext(summed, ir.VectorType(wide, WIDTH)), args[7])
        return context.get_dummy_value()

    offsets = (types.int64,) * 4
    return types.void(acc, types.int64, weights, *offsets, types.int64), build


@intrinsic
def add_times(typing, acc, to, weights, a, message, shift):
    """``acc[to:to+16] += (weights[a:a+16] * message) << shift``; message: int32."""

    def build(context, builder, signature, args):
        byte, wide = ir.IntType(8), ir.IntType(32)
        first = _place(context, builder, signature.args[2], args[2], args[3], byte)
        into = _place(context, builder, signature.args[0], args[0], args[1], wide)
        weight = builder.sext(_load(builder, first, 1), ir.VectorType(wide, WIDTH))
        _add_to(builder, into, builder.mul(weight, _splat(builder, args[4], wide)), args[5])
        return context.get_dummy_value()

    signature = types.void(acc, types.int64, weights, types.int64, types.int32, types.int64)
    return signature, build


@intrinsic
def list_bytes(typing, index, value, count, data, first, mask):
    """List which of ``data[first:first+16]`` are not zero, behind ``count`` entries of a list.

    int32, int32, int64, int8, int64, int32. Writes their positions to ``index`` and their values,
    ``& mask``, to ``value``. Returns one bit for each of the 16, and their number times 2**16.
    """

    def build(context, builder, signature, args):
        byte, wide, word = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        lanes, places = ir.VectorType(ir.IntType(1), WIDTH), ir.VectorType(wide, WIDTH)
        zero = ir.Constant(ir.VectorType(byte, WIDTH), [0] * WIDTH)
        data = _load(
            builder, _place(context, builder, signature.args[3], args[3], args[4], byte), 1
        )
        found = builder.icmp_signed("!=", data, zero)
        steps = ir.Constant(places, list(range(WIDTH)))
        position = builder.add(_splat(builder, builder.trunc(args[4], wide), wide), steps)
        kept = builder.and_(builder.sext(data, places), _splat(builder, args[5], wide))
        name = f"llvm.masked.compressstore.v{WIDTH}i32"
        kind = ir.FunctionType(ir.VoidType(), [places, wide.as_pointer(), lanes])
        store = cgutils.get_or_insert_function(builder.module, kind, name)
        for k, vector in ((0, position), (1, kept)):
            array = context.make_array(signature.args[k])(context, builder, args[k])
            builder.call(store, [vector, builder.gep(array.data, [args[2]]), found])
        bits = builder.zext(builder.bitcast(found, ir.IntType(WIDTH)), word)
        number = builder.shl(builder.ctpop(bits), ir.Constant(word, 16))
        return builder.or_(bits, number)

    return types.int64(index, value, types.int64, data, types.int64, types.int32), build
