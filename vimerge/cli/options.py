"""Options that several commands share."""


def add_free_flags(group):
    """Add the options of free flags to a group of arguments."""
    group.add_argument("--free-flags", action="store_true", help="add FreeR_flag, 0 for the free set")
    group.add_argument("--free-fraction", type=float, default=0.05, metavar="X", help="of reflections in that set")
    group.add_argument("--free-flags-from", metavar="FILE", help="merged MTZ whose flags to copy and extend")


def free_flags(arguments):
    """What the options ask for: arguments of `reflections.free_flags.add_free_flags`, or None for no flags."""
    if not (arguments.free_flags or arguments.free_flags_from):
        return None
    return {"fraction": arguments.free_fraction, "reference": arguments.free_flags_from}
