"""`python3 -m worker [streams]`: one of the two, the one over lists with the defects that DEFECTS names."""

import asyncio
import os
import sys

from specimen.log import log

from worker import lists, streams
from worker.defects import prepared
from worker.jobs import Jobs
from worker.lists import Account, Parts

if "streams" in sys.argv[1:]:
    streams.main()
else:
    ids = tuple(filter(None, os.environ.get("DEFECTS", "").split(",")))
    asyncio.run(lists.serve(os.environ, prepared(Parts(Jobs, Account, log), ids)))
