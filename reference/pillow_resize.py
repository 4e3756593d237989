"""Writes fixtures/pillow_resize.csv: what Pillow 12.0.0 makes of generated images, as SHA-256 of the bytes.

Usage: python reference/pillow_resize.py fixtures/pillow_resize.csv

Both sides generate the input images; pictures.py says how.
"""

import hashlib
import random
import sys

import PIL
from PIL import Image

from pictures import KINDS, draw

SEED = 20250523
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
CASES_PER_FILTER = 240


def sizes(rng):
    """Ordinary sizes, thin images, sides that stay, large factors both ways, and two real screenshots."""
    yield 1920, 1080, 1288, 728
    yield 1280, 800, 1288, 812
    yield 100, 100, 384, 384
    yield 1, 1, 37, 53
    yield 211, 157, 1, 1
    yield 97, 61, 97, 61
    for case in range(CASES_PER_FILTER - 6):
        limits = [(300, 300), (12, 300), (300, 12), (500, 60)][case % 4]
        width, height, new_width, new_height = (rng.randint(1, limit) for limit in limits * 2)
        if case % 13 == 0:
            new_width = width
        if case % 17 == 0:
            new_height = height
        yield width, height, new_width, new_height


def main(path):
    assert PIL.__version__ == "12.0.0", f"needs pillow==12.0.0, found {PIL.__version__}: others may order the passes differently"
    rng = random.Random(SEED)
    with open(path, "w", newline="\n") as out:
        out.write(f"# pillow {PIL.__version__}, seed {SEED}; see reference/pillow_resize.py\n")
        out.write("filter,kind,seed,width,height,new_width,new_height,sha256\n")
        for name, resample in FILTERS.items():
            for idx, (width, height, new_width, new_height) in enumerate(sizes(rng)):
                kind, seed = KINDS[idx % len(KINDS)], rng.getrandbits(63)
                image = draw(kind, seed, width, height).resize((new_width, new_height), resample)
                digest = hashlib.sha256(image.tobytes()).hexdigest()
                out.write(f"{name},{kind},{seed},{width},{height},{new_width},{new_height},{digest}\n")


if __name__ == "__main__":
    main(sys.argv[1])
