"""The parts of the package that are compiled; all else of it is in pyproject.toml."""

from glob import glob

from setuptools import Extension, setup

QUIET, SPACE = "geoengine/core/quiet", "geoengine/core/space"

setup(
    ext_modules=[
        Extension(
            "geoengine.core.quiet._quiet",
            sources=[f"{QUIET}/_quiet.c"],
            depends=sorted(glob(f"{QUIET}/*.h")),
            extra_compile_args=["-O3"],  # not every Python was built with it, and a pass is a loop
            libraries=["m"],
            optional=True,  # without a C compiler the package runs the same, slower
        ),
        Extension(
            "geoengine.core.space._edges",
            sources=[f"{SPACE}/_edges.c"],
            depends=sorted(glob(f"{SPACE}/*.h")),
            extra_compile_args=["-O3", "-ffp-contract=off"],  # products keep their own rounding
            libraries=["m"],
            optional=True,
        ),
    ]
)
