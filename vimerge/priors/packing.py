"""Long arrays as text, for a saved model's configuration, which is JSON."""

import base64
import zlib

import numpy as np


def pack(values, dtype="<f4"):
    """Write an array of numbers as text, in single precision if nothing else is asked for; NaN is kept.

    Parameters
    ----------
    values : array_like, [R]
    dtype : str
        As what they are written; give `unpack` the same.

    Returns
    -------
    str
    """
    return base64.b64encode(zlib.compress(np.asarray(values, dtype).tobytes(), 6)).decode("ascii")


def unpack(text, dtype="<f4"):
    """Read an array that `pack` wrote; anything else is given back as it is.

    Parameters
    ----------
    text : str or object
    dtype : str
        As what they were written.

    Returns
    -------
    array, [R], of the dtype in this machine's byte order, or object
    """
    if not isinstance(text, str):
        return text
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).astype(np.dtype(dtype).newbyteorder("="))
