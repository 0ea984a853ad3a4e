"""A worker that loses no job: what the controls of jobs are proved on, in plain Python over a Redis.

`lists` keeps jobs in lists with a lease for each worker, `streams` is the same service built differently: threads and
consumer groups. `DEFECTS=SHD-009/acknowledged-first,...` breaks one clause of a criterion each.
"""
