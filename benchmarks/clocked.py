"""`vimerge` with a clock around its training, for a version whose run.json does not tell.

python -m benchmarks.clocked TIMES.json merge …
"""

import json
import sys
import time
from functools import wraps


def main(arguments=None):
    """Run the command line and write the CPU seconds of `recipe.train`."""
    output, *arguments = sys.argv[1:] if arguments is None else arguments
    from vimerge.cli import main as vimerge
    from vimerge.cli.quiet import import_tensorflow

    import_tensorflow()
    from vimerge.merging import recipe

    train = recipe.train
    spent = []

    @wraps(train)
    def clocked(*args, **kwargs):
        started = time.process_time()
        history = train(*args, **kwargs)
        spent.append(time.process_time() - started)
        return history

    recipe.train = clocked
    status = vimerge(arguments)
    with open(output, "w") as stream:
        json.dump({"training_cpu_seconds": spent}, stream)
    return status


if __name__ == "__main__":
    sys.exit(main())
