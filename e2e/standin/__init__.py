"""A stand-in for mongod where there is none: the wire, the log-in and the rules of a replica set, little else."""
