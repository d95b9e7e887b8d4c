"""`python -m vimerge.cli`."""

import sys

from vimerge.cli import main

sys.exit(main())
