"""Which images belong to one continuous turn of the crystal."""

import numpy as np

__all__ = ["find_sweeps"]

# An image may be off the line of its neighbours by this many degrees, or as many steps.
_TOLERANCE_DEGREES = 2.0
_TOLERANCE_STEPS = 3.0


def find_sweeps(reflections, rotation=None):
    """
    Number the sweeps: images of one file whose rotation angle goes on evenly with the image number.

    Parameters
    ----------
    reflections : Reflections
        The observations, M of them.
    rotation : np.ndarray, optional
        ``[M]`` rotation angles in degrees; if they are not given, each file is a sweep.

    Returns
    -------
    np.ndarray
        ``[M]`` int32: 0, 1 …
    """
    if rotation is None:
        return reflections.file_id.astype(np.int32)
    count = reflections.n_images
    number = np.bincount(reflections.image_id, minlength=count)
    # An image's angle is the median of its observations': a partial's own may belong to a neighbour.
    order = np.lexsort((rotation, reflections.image_id))
    first = np.cumsum(number) - number
    used = np.flatnonzero(number)
    angle = rotation[order][first[used] + number[used] // 2]
    image = reflections.images["image"].to_numpy()[used]
    file_id = reflections.images["file_id"].to_numpy()[used]
    sweep = np.zeros(count, dtype=np.int32)
    found = 0
    for file in np.unique(file_id):
        mine = np.flatnonzero(file_id == file)
        step_angle, step_image = np.diff(angle[mine]), np.diff(image[mine])
        step = np.median(step_angle / step_image) if len(mine) > 1 else 0.0
        off = np.abs(step_angle - step * step_image)
        breaks = off > np.maximum(_TOLERANCE_DEGREES, _TOLERANCE_STEPS * abs(step))
        sweep[used[mine]] = found + np.concatenate([[0], np.cumsum(breaks)])
        found = sweep[used[mine]].max() + 1
    return sweep[reflections.image_id]
