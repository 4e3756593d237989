"""Generated test images, the same bytes in Python and Rust.

Everything comes from SplitMix64 as a function of seed and counter, modulo 2^64 throughout:
    mix(seed, i): z = seed + (i + 1) * 0x9E3779B97F4A7C15
                  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9
                  z = (z ^ z >> 27) * 0x94D049BB133111EB
                  z ^ z >> 31
With a = 1 + mix(seed, 0) % 23, b = 1 + mix(seed, 1) % 23, byte c (0 red .. 2 blue) of the pixel at (x, y) is
    noise     mix(seed, 2 + (y * width + x) * 3 + c) >> 56
    edges     mix(seed, 2 + (y / b * width + x / a) * 3 + c) >> 63, times 255: flat cells of a x b pixels
    gradient  (x * a + y * b + c * 85) >> 2, modulo 256: ramps that fall off a cliff
    lines     0 if x % (a + 1) == 0 or y % (b + 1) == 0, else 255 - c * 40: hairlines on a bright page
"""

import numpy
from PIL import Image

KINDS = ["noise", "edges", "gradient", "lines"]


def mix(seed, counter):
    u64 = numpy.uint64
    z = u64(seed) + (numpy.asarray(counter, u64) + u64(1)) * u64(0x9E3779B97F4A7C15)
    z = (z ^ z >> u64(30)) * u64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> u64(27)) * u64(0x94D049BB133111EB)
    return z ^ z >> u64(31)


def draw(kind, seed, width, height):
    y, x, c = numpy.meshgrid(numpy.arange(height), numpy.arange(width), numpy.arange(3), indexing="ij")
    a, b = 1 + int(mix(seed, [0])[0] % 23), 1 + int(mix(seed, [1])[0] % 23)
    if kind == "noise":
        values = mix(seed, 2 + (y * width + x) * 3 + c) >> numpy.uint64(56)
    elif kind == "edges":
        values = (mix(seed, 2 + (y // b * width + x // a) * 3 + c) >> numpy.uint64(63)) * numpy.uint64(255)
    elif kind == "gradient":
        values = (x * a + y * b + c * 85 >> 2) % 256
    elif kind == "lines":
        values = numpy.where((x % (a + 1) == 0) | (y % (b + 1) == 0), 0, 255 - c * 40)
    else:
        raise ValueError(f"unknown kind of picture: {kind}")
    return Image.fromarray(values.astype(numpy.uint8))
