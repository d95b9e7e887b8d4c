"""Long arrays as text, for a saved model's configuration, which is JSON."""

import base64
import zlib

import numpy as np


def pack(values):
    """Write an array of numbers as text, in single precision; NaN is kept.

    Parameters
    ----------
    values : array_like, [R]

    Returns
    -------
    str
    """
    return base64.b64encode(zlib.compress(np.asarray(values, "<f4").tobytes(), 6)).decode("ascii")


def unpack(text):
    """Read an array that `pack` wrote; anything else is given back as it is.

    Parameters
    ----------
    text : str or object

    Returns
    -------
    array, float32 [R], or object
    """
    if not isinstance(text, str):
        return text
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").astype(np.float32)
